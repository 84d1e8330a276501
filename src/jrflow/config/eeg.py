"""From source to scalp: head model, source location and sensor noise."""

from typing import Annotated, Literal

from pydantic import Field

from jrflow.config.section import Name, Section


class MontageHead(Section):
    """Sphere head model for a standard montage on fsaverage; needs no download."""

    kind: Literal["montage"] = "montage"
    montage: str = "biosemi64"
    """Electrodes: any montage that MNE knows by name."""


class RecordingHead(Section):
    """Sphere head model fitted to the digitised electrodes of a recording."""

    kind: Literal["recording"]
    path: str
    """MNE evoked, epochs, raw or info file (.fif) with electrode positions; relative to where jrflow
    is run."""


class ForwardHead(Section):
    """A forward solution made elsewhere."""

    kind: Literal["forward"]
    path: str
    """MNE forward file (-fwd.fif) with surface sources; relative to where jrflow is run."""


Head = Annotated[MontageHead | RecordingHead | ForwardHead, Field(discriminator="kind")]


class SourceConfig(Section):
    """Where the column sits: a patch of cortex that shares one time course."""

    position: tuple[float, float, float] = (-40.0, 12.0, 47.0)
    """Centre, mm, MNI coordinates (fsaverage); the default lies in the left caudal middle frontal gyrus."""
    extent: float = Field(10.0, gt=0)
    """Radius of the patch around the cortical point nearest to the centre, mm."""
    moment: float = Field(13.0, gt=0)
    """Dipole moment of the whole patch per mV of source, nA m / mV. The default is the paper's
    1 nA m / mV at each of about 13 vertices."""


class AdHocNoise(Section):
    """The paper's: MNE's ad hoc covariance (0.2 uV on every EEG channel) times a factor."""

    kind: Literal["ad-hoc"]
    factor: float = Field(gt=0)
    """Multiplies the variance, as the paper's noise_fact does (dimensionless)."""


class CovarianceNoise(Section):
    """A measured noise covariance of single samples of raw data."""

    kind: Literal["covariance"]
    path: str
    """MNE covariance file (-cov.fif); relative to where jrflow is run."""
    n_averages: int | None = Field(None, ge=1)
    """Number of trials averaged into the evoked; by default as many as the protocol averages."""


class SnrNoise(Section):
    """White noise at a stated signal-to-noise ratio of the evoked."""

    kind: Literal["snr"]
    snr_db: float
    """20 log10(median over the model's training campaign of the clean evoked's root mean square over
    channels and time, over one channel's noise standard deviation after averaging), dB. The same
    noise then meets every simulation."""


NoiseConfig = Annotated[AdHocNoise | CovarianceNoise | SnrNoise, Field(discriminator="kind")]


class EEGConfig(Section):
    """Head model, source and noise levels."""

    head: Head = MontageHead()
    """Head model (kind: montage, recording or forward)."""
    source: SourceConfig = SourceConfig()
    """Where the column sits."""
    noise: dict[Name, NoiseConfig] = Field({})
    """Named noise levels (kind: ad-hoc, covariance or snr); scores are given for each. Models need one."""
