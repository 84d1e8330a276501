"""From source to scalp: head model, source location and sensor noise."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from jrflow.config.section import Name, Section
from jrflow.model import MODEL


class MontageHead(Section):
    """Sphere head model for a standard montage on fsaverage; needs no download."""

    kind: Literal["montage"] = "montage"
    montage: str = "biosemi64"
    """Electrodes: the name of any montage of MNE."""


class RecordingHead(Section):
    """Sphere head model fitted to the digitised electrodes of a recording."""

    kind: Literal["recording"]
    path: str
    """MNE evoked, epochs, raw or info file (.fif) with electrode positions; relative to where jrflow
    is run."""


class ForwardHead(Section):
    """A forward solution from MNE."""

    kind: Literal["forward"]
    path: str
    """MNE forward file (-fwd.fif) with surface sources; relative to where jrflow is run."""


Head = Annotated[MontageHead | RecordingHead | ForwardHead, Field(discriminator="kind")]


class SourceConfig(Section):
    """Position of the column: a patch of cortex that shares one time course."""

    position: tuple[float, float, float] = (-40.0, 12.0, 47.0)
    """Centre, mm, MNI coordinates (fsaverage); the default lies in the left caudal middle frontal gyrus."""
    extent: float = Field(10.0, gt=0)
    """Radius of the patch around the cortical point nearest to the centre, mm."""
    moment: float = Field(MODEL.space["moment"].default, gt=0)
    """Dipole moment of the whole patch per mV of source, nA m / mV. The default is the paper's
    1 nA m / mV at each of about 13 vertices."""


class AdHocNoise(Section):
    """The paper's noise: MNE's ad hoc covariance (0.2 uV on every EEG channel) times a factor."""

    kind: Literal["ad-hoc"]
    factor: float = Field(gt=0)
    """Factor of the variance, like noise_fact in the paper's code (dimensionless). The noise is that of the
    raw recording, before any filter of eeg.processing."""


class CovarianceNoise(Section):
    """A measured noise covariance of single samples, from a recording filtered as in eeg.processing."""

    kind: Literal["covariance"]
    path: str
    """MNE covariance file (-cov.fif); relative to where jrflow is run."""
    n_averages: int | None = Field(None, ge=1)
    """Number of trials averaged in the evoked response; null: as many as the protocol averages."""


class SnrNoise(Section):
    """White noise at a stated signal-to-noise ratio of the evoked response."""

    kind: Literal["snr"]
    snr_db: float
    """Signal-to-noise ratio, dB: 20 log10(signal / noise). Signal: root mean square of the response without
    noise over channels and time, median over the training campaign. Noise: standard deviation of one
    channel after averaging; it is the same for all simulations."""


NoiseConfig = Annotated[AdHocNoise | CovarianceNoise | SnrNoise, Field(discriminator="kind")]


class ProcessingConfig(Section):
    """Filters and baseline correction, the same for recordings and simulations."""

    highpass: float | None = Field(None, gt=0)
    """Cut-off frequency of the high-pass filter of the continuous recording, Hz (MNE's default filter);
    null: none."""
    lowpass: float | None = Field(None, gt=0)
    """Cut-off frequency of the low-pass filter of the continuous recording, Hz (MNE's default filter);
    null: none."""
    baseline: tuple[float | None, float | None] | None = (None, 0.0)
    """First and last time of the baseline, s from the onset; null for one of the two: the start or end of the
    epoch. null: no baseline correction; this needs a high-pass filter, because EEG has no absolute level."""

    @model_validator(mode="after")
    def _possible(self) -> "ProcessingConfig":
        if self.highpass is not None and self.lowpass is not None and self.highpass >= self.lowpass:
            raise ValueError(
                f"highpass ({self.highpass:g} Hz) must be below lowpass ({self.lowpass:g} Hz): "
                "nothing of the response passes both"
            )
        if self.baseline is None and self.highpass is None:
            raise ValueError(
                "baseline: null needs a highpass: without either, the response contains the unknown constant "
                "voltage of the electrodes; give a baseline such as [null, 0] or a highpass in Hz"
            )
        if self.baseline is not None and None not in self.baseline:
            start, end = self.baseline
            if start > end:  # type: ignore[operator]
                raise ValueError(
                    f"baseline must start before it ends, received [{start:g}, {end:g}] s; swap the two"
                )
        return self


class EEGConfig(Section):
    """Head model, source, processing and noise levels."""

    head: Head = MontageHead()
    """Head model (kind: montage, recording or forward)."""
    source: SourceConfig = SourceConfig()
    """Position of the column."""
    processing: ProcessingConfig = ProcessingConfig()
    """Filters and baseline of the recordings to which models are applied; applied to simulations, too."""
    noise: dict[Name, NoiseConfig] = Field({})
    """Named noise levels (kind: ad-hoc, covariance or snr). Scores are computed for each; models need at
    least one."""
