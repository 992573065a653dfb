"""Section 2.4: the confidence-weighted mean squared error."""

import torch
from torch import Tensor


def cw_mse(z: Tensor, z_refined: Tensor, mask: Tensor | None, unmasked: float = 1.2, masked: float = 1.0) -> Tensor:
    """CW-MSE, Eq. 17-18: the mean over samples and tokens of CS_i ||Z_i - Z'_m,i||^2.

    Parameters
    ----------
    z, z_refined
        (b, n, d) the token embeddings Z and the encoder's output Z'_m.
    mask
        (b, n) the soft mask M_b. A token counts as masked where M_b is above its sample's mean (open decision 3:
        with gamma > 0.5 every M_b is above 0.5). None: no token is masked.
    unmasked, masked
        the two confidence scores of Eq. 18.

    Returns
    -------
    A scalar.
    """
    error = (z - z_refined).square().sum(2)
    if mask is None:
        return unmasked * error.mean()
    is_masked = mask > mask.mean(1, keepdim=True)
    confidence = torch.where(is_masked, error.new_tensor(masked), error.new_tensor(unmasked))  # Eq. 18
    return (confidence * error).mean()
