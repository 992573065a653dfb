"""Section 2.4: the confidence-weighted mean squared error."""

import torch
from torch import Tensor


def cw_mse(
    z: Tensor, z_refined: Tensor, mask: Tensor | None, unmasked: float = 1.2, masked: float = 1.0, *, masked_above: str = "mean"
) -> Tensor:
    """CW-MSE, Eq. 17-18: the mean over samples and tokens of CS_i ||Z_i - Z'_m,i||^2.

    Parameters
    ----------
    z, z_refined
        (b, n, d) the token embeddings Z and the encoder's output Z'_m.
    mask
        (b, n) the soft mask M_b. None: no token is masked.
    unmasked, masked
        the two confidence scores of Eq. 18.
    masked_above
        open decision 3: a token counts as masked where M_b is above its sample's "mean", or above one "half" (with
        gamma > 0.5 every token then is).

    Returns
    -------
    A scalar.
    """
    if masked_above not in ("mean", "half"):
        raise ValueError(f"masked_above is 'mean' or 'half', not {masked_above!r}")
    error = (z - z_refined).square().sum(2)
    if mask is None:
        return unmasked * error.mean()
    is_masked = mask > (mask.mean(1, keepdim=True) if masked_above == "mean" else 0.5)
    confidence = torch.where(is_masked, error.new_tensor(masked), error.new_tensor(unmasked))  # Eq. 18
    return (confidence * error).mean()
