"""What arrives at the regions of a network, compiled: products and gathers over the lanes of a block."""

from __future__ import annotations

import numpy as np

from jrflow.model.coupling import DENSE, STRETCH
from jrflow.model.lanes import inlined, vectorise_fully


@inlined
def gather(K, H, links, width, slot, lanes):  # type: ignore[no-untyped-def]
    """K[i, 0:width] = sum over senders j of w_ij H[j, slot - delay : slot - delay + width].

    Four connections at a time: each value of K is then loaded and stored once for four products. Indices
    are unsigned: the compiler need not think of those that count from the end.
    """
    vectorise_fully()
    length = width * lanes
    for i in range(K.shape[0]):
        received = K[i]
        begin, end = links.first[i], links.first[i + 1]
        for x in range(length):
            received[x] = 0
        whole = begin + (end - begin) // 4 * 4
        for c in range(begin, whole, 4):
            w0, w1, w2, w3 = links.weight[c], links.weight[c + 1], links.weight[c + 2], links.weight[c + 3]
            h0 = np.uint64((links.place[c, 0] + slot) * lanes)
            h1 = np.uint64((links.place[c + 1, 0] + slot) * lanes)
            h2 = np.uint64((links.place[c + 2, 0] + slot) * lanes)
            h3 = np.uint64((links.place[c + 3, 0] + slot) * lanes)
            for x in range(length):
                u = np.uint64(x)
                received[x] += (w0 * H[h0 + u] + w1 * H[h1 + u]) + (w2 * H[h2 + u] + w3 * H[h3 + u])
        for c in range(whole, end):
            w0, h0 = links.weight[c], np.uint64((links.place[c, 0] + slot) * lanes)
            for x in range(length):
                received[x] += w0 * H[h0 + np.uint64(x)]


@inlined
def gather_apart(K, R, H, links, width, slot, lanes):  # type: ignore[no-untyped-def]  # noqa: C901
    """As :func:`gather`, from histories (sender, lane, slot); R has room for one region, (lanes, width)."""
    vectorise_fully()
    n_stretches = width // STRETCH if width % STRETCH == 0 else 0
    for i in range(K.shape[0]):
        begin, end = links.first[i], links.first[i + 1]
        for x in range(width * lanes):
            R[x] = 0
        whole = begin + (end - begin) // 4 * 4
        for c in range(begin, whole, 4):
            w0, w1, w2, w3 = links.weight[c], links.weight[c + 1], links.weight[c + 2], links.weight[c + 3]
            for lane in range(lanes):
                r = np.uint64(lane * width)
                h0, h1 = np.uint64(links.place[c, lane] + slot), np.uint64(links.place[c + 1, lane] + slot)
                h2, h3 = (
                    np.uint64(links.place[c + 2, lane] + slot),
                    np.uint64(links.place[c + 3, lane] + slot),
                )
                for stretch in range(n_stretches):
                    for k in range(STRETCH):
                        u = np.uint64(stretch * STRETCH + k)
                        R[r + u] += (w0 * H[h0 + u] + w1 * H[h1 + u]) + (w2 * H[h2 + u] + w3 * H[h3 + u])
                for k in range(n_stretches * STRETCH, width):
                    u = np.uint64(k)
                    R[r + u] += (w0 * H[h0 + u] + w1 * H[h1 + u]) + (w2 * H[h2 + u] + w3 * H[h3 + u])
        for c in range(whole, end):
            w0 = links.weight[c]
            for lane in range(lanes):
                r, h0 = np.uint64(lane * width), np.uint64(links.place[c, lane] + slot)
                for k in range(width):
                    u = np.uint64(k)
                    R[r + u] += w0 * H[h0 + u]
        for lane in range(lanes):
            for k in range(width):
                K[i, k * lanes + lane] = R[lane * width + k]


@inlined
def product(mode, K, S, links, lanes):  # type: ignore[no-untyped-def]
    """K[i] = sum over senders j of w_ij S[j]: what is received without delay."""
    if mode == DENSE:
        np.dot(links.dense, S, K)
    else:
        gather(K, S.reshape(-1), links, 1, 0, lanes)


@inlined
def remember_apart(H, S, links, slot, lanes):  # type: ignore[no-untyped-def]
    """As :func:`remember`, into histories (sender, lane, slot)."""
    n_slots, n_kept = links.n_slots, links.n_kept
    moved = slot == n_slots
    if moved:
        slot = n_kept - 1
    for i in range(S.shape[0]):
        for lane in range(lanes):
            start = (i * lanes + lane) * n_slots
            if moved:
                for k in range(n_kept - 1):
                    H[start + k] = H[start + n_slots - n_kept + 1 + k]
            H[np.uint64(start + slot)] = S[i, lane]
    return slot


@inlined
def remember(H, S, links, slot, lanes):  # type: ignore[no-untyped-def]
    """Write the present rates into the histories; returns the slot, which is another one after a move."""
    vectorise_fully()
    n_slots, n_kept = links.n_slots, links.n_kept
    moved = slot == n_slots
    if moved:
        slot = n_kept - 1
    for i in range(S.shape[0]):
        rates, start = S[i], i * n_slots * lanes
        if moved:
            for x in range((n_kept - 1) * lanes):
                H[start + x] = H[start + (n_slots - n_kept + 1) * lanes + x]
        history = H[start + slot * lanes : start + (slot + 1) * lanes]
        for lane in range(lanes):
            history[lane] = rates[lane]
    return slot
