"""Section 2.1-2.4 of the paper, in the order of its equations.

Axes: ``b`` samples, ``c`` bands, ``w`` window side, ``n`` tokens, ``d`` embedding, ``h`` heads, ``k`` classes.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Output(NamedTuple):
    """What a forward pass of `CPDGAL` gives."""

    logits: Tensor  # (b, k)
    tokens: Tensor  # (b, n, d)  Z, Eq. 3
    refined: Tensor  # (b, n, d)  Z'_m, the encoder's output, Eq. 17
    mask: Tensor | None  # (b, n)  M_b, Eq. 15; None without contextual masking
    features: Tensor  # (b, d)  what the head reads


class CPDGAL(nn.Module):
    """The paper's network (Fig. 1): patch embedding, DGFR, contextual masking, a ViT encoder, a linear head.

    With ``use_dgfr`` and ``use_masking`` both off it is the supervised Vision Transformer of Table 6, with exactly
    the parameters that are left.

    Args:
        bands, window, classes: shape of the input windows (c, w, w) and number of classes k.
        patch: side of a patch in pixels; must divide the window.
        dim, heads, layers, ffn_ratio: the encoder's embedding d, heads h, blocks L, and feed-forward width over d.
        steps: T, the number of diffusion steps of DGFR.
        beta: sharpness of the mask, Eq. 15.
        static_masking: in place of the learned mask, mask every token with this probability (Table 4's comparison).
        alpha_range: alpha_1 and alpha_T before training, on a line between.
        alpha_clip: the range alpha_t is clipped to ("a reasonable range", Section 2.2).
        alpha_form: how alpha_t stays in that range: "clamp", or "sigmoid", whose gradient does not die at the clip; "fixed" is
            a clamped schedule that is not learned.
        conditioned: the time embedding of Eq. 6 reaches the denoiser.
        residual_blocks: a residual around each of the two denoising blocks, each with its own zero start.
        residual_denoiser: the residual of Eq. 7; without it the denoiser's output is F_theta alone.
        refinement: DGFR at inference. "identity": Z_final = Z, the limit of Eq. 8 at t = 0; "last": t = T without noise;
            "average": the mean of Z_final over `draws` draws of t and noise.
        mask_at_inference: apply Eq. 16 at inference as in training.
        pooling: "mean" of the encoder's tokens, or the "centre" token.
        refined_after_norm: Z'_m of Eq. 17 after the encoder's final LayerNorm, or before it.
        cw_mse_weight: weight of CW-MSE (Eq. 17) beside the cross-entropy in `loss`.
        unmasked_weight: the confidence score of unmasked tokens in Eq. 18; that of masked ones is 1.
        detach_target: keep CW-MSE from moving its target Z.
        masked_above: see `cw_mse`.

    Raises ``ValueError`` when the patch does not divide the window or an option is unknown.
    """

    def __init__(
        self,
        bands=15,
        window=7,
        classes=16,
        patch=1,
        dim=32,
        heads=8,
        layers=6,
        steps=100,
        ffn_ratio=4,
        beta=2.0,
        use_dgfr=True,
        use_masking=True,
        *,
        static_masking=None,
        alpha_range=(0.99, 0.5),
        alpha_clip=(0.01, 0.99),
        alpha_form="clamp",
        conditioned=True,
        residual_blocks=False,
        residual_denoiser=True,
        refinement="identity",
        draws=8,
        mask_at_inference=True,
        pooling="mean",
        refined_after_norm=True,
        cw_mse_weight=0.1,
        unmasked_weight=1.2,
        detach_target=False,
        masked_above="mean",
    ):
        super().__init__()
        if pooling not in ("mean", "centre"):
            raise ValueError(f"pooling is 'mean' or 'centre', not {pooling!r}")
        self.embedding = PatchEmbedding(bands, window, patch, dim)
        tokens = self.embedding.tokens
        schedule = {"alpha_range": alpha_range, "alpha_clip": alpha_clip, "alpha_form": alpha_form}
        denoiser = {"conditioned": conditioned, "residual_blocks": residual_blocks, "residual_denoiser": residual_denoiser}
        inference = {"refinement": refinement, "draws": draws}
        self.dgfr = DGFR(dim, tokens, steps, **schedule, **denoiser, **inference) if use_dgfr else None
        learned = ContextualMasking(dim, beta) if static_masking is None else StaticMasking(dim, static_masking)
        self.masking = learned if use_masking else None
        self.blocks = nn.ModuleList(EncoderBlock(dim, heads, ffn_ratio) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, classes)
        self.mask_at_inference, self.pooling, self.refined_after_norm = mask_at_inference, pooling, refined_after_norm
        self.cw_mse_weight, self.unmasked_weight = cw_mse_weight, unmasked_weight
        self.detach_target, self.masked_above = detach_target, masked_above

    def forward(self, x: Tensor, t: Tensor | None = None, noise: Tensor | None = None, generator=None) -> Output:
        """Classify windows ``x`` (b, c, w, w); ``t`` (b,), ``noise`` (b, n, d) and ``generator`` go to `DGFR`."""
        z = self.embedding(x)
        z_final = z if self.dgfr is None else self.dgfr(z, t, noise, generator)
        encoded, mask = z_final, None
        if self.masking is not None and (self.training or self.mask_at_inference):
            guide = generator if isinstance(self.masking, StaticMasking) else self.blocks[0].attention_weights(z_final)
            encoded, mask = self.masking(z_final, guide)
        for block in self.blocks:
            encoded = block(encoded)
        normed = self.norm(encoded)
        features = normed.mean(1) if self.pooling == "mean" else normed[:, normed.shape[1] // 2]
        return Output(self.head(features), z, normed if self.refined_after_norm else encoded, mask, features)

    def loss(self, x: Tensor, y: Tensor, generator=None) -> Tensor:
        """Section 2.4, a scalar: the cross-entropy for classes ``y`` (b,), and CW-MSE where there is a module to supervise."""
        out = self(x, generator=generator)
        loss = F.cross_entropy(out.logits, y)
        if self.dgfr is None and self.masking is None:
            return loss
        z = out.tokens.detach() if self.detach_target else out.tokens
        return loss + self.cw_mse_weight * cw_mse(
            z, out.refined, out.mask, self.unmasked_weight, masked_above=self.masked_above
        )

    def drawn_logits(self, x: Tensor, draws: int, generator=None) -> Tensor:
        """(draws, b, k) logits, each under its own step t and noise of DGFR; ``ValueError`` without it."""
        if self.dgfr is None:
            raise ValueError("repeated draws need a network with DGFR; choose another query strategy for this one")
        z = self.embedding(x)
        return torch.stack([self(x, *self.dgfr.draw(z, generator)).logits for _ in range(draws)])


class PatchEmbedding(nn.Module):
    """Eq. 1-3: non-overlapping patches, a linear projection, and a learned position for each.

    ``forward``: x (b, c, w, w) -> Z (b, n, d) with n = (w / patch)^2, patches in row-major order.
    """

    def __init__(self, bands: int, window: int, patch: int, dim: int):
        super().__init__()
        if patch < 1 or window % patch:
            raise ValueError(f"a patch of {patch} does not divide a window of {window}; choose a divisor of {window}")
        self.shape = (bands, window, window)
        self.patch = patch
        self.tokens = (window // patch) ** 2  # Eq. 1
        self.project = nn.Linear(patch * patch * bands, dim)
        self.position = nn.Parameter(torch.randn(self.tokens, dim) * 0.02)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1:] != self.shape:
            raise ValueError(f"the model takes windows of shape (b, {', '.join(map(str, self.shape))}), not {tuple(x.shape)}")
        p = self.patch
        patches = x.unfold(2, p, p).unfold(3, p, p)  # (b, c, w/p, w/p, p, p)
        patches = patches.permute(0, 2, 3, 4, 5, 1).flatten(3).flatten(1, 2)  # (b, n, p*p*c)
        return self.project(patches) + self.position  # Eq. 2-3


class DGFR(nn.Module):
    """Eq. 4-8: diffusion-guided feature refinement of token embeddings."""

    def __init__(
        self,
        dim: int,
        tokens: int,
        steps: int,
        alpha_range=(0.99, 0.5),
        alpha_clip=(0.01, 0.99),
        alpha_form="clamp",
        conditioned=True,
        residual_blocks=False,
        residual_denoiser=True,
        refinement="identity",
        draws=8,
    ):
        super().__init__()
        if refinement not in ("identity", "last", "average"):
            raise ValueError(f"refinement is 'identity', 'last' or 'average', not {refinement!r}")
        if alpha_form not in ("clamp", "sigmoid", "fixed"):
            raise ValueError(f"alpha_form is 'clamp', 'sigmoid' or 'fixed', not {alpha_form!r}")
        self.tokens, self.steps = tokens, steps
        self.clip, self.form, self.refinement, self.draws = alpha_clip, alpha_form, refinement, draws
        self.conditioned, self.residual_blocks, self.residual_denoiser = conditioned, residual_blocks, residual_denoiser
        started = self._schedule(torch.linspace(alpha_range[0], alpha_range[1], steps))
        self.schedule = nn.Parameter(started, requires_grad=alpha_form != "fixed")
        self.phi = nn.Linear(1, dim)
        # What stands beside a residual starts at zero, so D_theta is "identity mapping at initialization" (Section 2.2).
        zero = (residual_blocks, residual_blocks or residual_denoiser)
        self.blocks = nn.Sequential(*(_denoising_block(dim, each) for each in zero))

    def alpha(self) -> Tensor:
        """(T,) the schedule of Eq. 4, within its range."""
        low, high = self.clip
        return low + (high - low) * self.schedule.sigmoid() if self.form == "sigmoid" else self.schedule.clamp(low, high)

    def _schedule(self, alpha: Tensor) -> Tensor:
        """The parameter that gives ``alpha`` (T,) before training; a sigmoid never reaches its ends, so 1 % stays to each."""
        if self.form != "sigmoid":
            return alpha
        low, high = self.clip
        return ((alpha - low) / (high - low)).clamp(0.01, 0.99).logit()

    def time_embedding(self, t: Tensor) -> Tensor:
        """Eq. 5: t (b,) in 1..T -> e_t (b, d)."""
        return self.phi(t.to(self.phi.weight.dtype)[:, None] / self.steps)

    def denoise(self, z_t: Tensor) -> Tensor:
        """Eq. 7: the residual denoiser D; z_t (b, n, d) already carries its time embedding (Eq. 6)."""
        z = z_t
        for block in self.blocks:
            z = z + block(z) if self.residual_blocks else block(z)
        return z_t + z if self.residual_denoiser else z

    def forward(self, z: Tensor, t: Tensor | None = None, noise: Tensor | None = None, generator=None) -> Tensor:
        """Refine Z (b, n, d) into Z_final (b, n, d), Eq. 8.

        In training, ``t`` (b,) is drawn uniformly from 1..T and ``noise`` from a standard normal where not given, both
        from ``generator`` (torch's default one when None). In evaluation without ``t``, `refinement` decides.
        """
        if t is None and not self.training:
            if self.refinement == "identity":
                return z
            if self.refinement == "last":
                return self.refine(z, torch.full(z.shape[:1], self.steps, device=z.device), torch.zeros_like(z))
            return torch.stack([self.refine(z, *self.draw(z, generator)) for _ in range(self.draws)]).mean(0)
        drawn_t, drawn_noise = self.draw(z, generator) if t is None or noise is None else (t, noise)
        return self.refine(z, drawn_t if t is None else t, drawn_noise if noise is None else noise)

    def refine(self, z: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Eq. 4-8 at given steps ``t`` (b,) and ``noise`` (b, n, d)."""
        alpha_t = self.alpha()[t - 1][:, None, None]
        z_t = alpha_t * z + (1 - alpha_t) * noise  # Eq. 4
        if self.conditioned:
            z_t = z_t + self.time_embedding(t)[:, None]  # Eq. 6
        mix = (t.to(z.dtype) / self.steps).clamp(max=1)[:, None, None]  # lambda_t
        return mix * self.denoise(z_t) + (1 - mix) * z  # Eq. 8

    def draw(self, z: Tensor, generator=None) -> tuple[Tensor, Tensor]:
        """A step (b,) and noise (b, n, d) for each sample of z."""
        t = torch.randint(1, self.steps + 1, z.shape[:1], generator=generator, device=z.device)
        return t, torch.randn(z.shape, generator=generator, device=z.device, dtype=z.dtype)


def _denoising_block(dim: int, starts_at_zero: bool) -> nn.Sequential:
    first, last = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)
    if starts_at_zero:
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    return nn.Sequential(nn.LayerNorm(dim), first, nn.GELU(), last)


class EncoderBlock(nn.Module):
    """Eq. 9-11 and the feed-forward network: one pre-norm transformer block, (b, n, d) -> (b, n, d).

    The head width is d // h, and 1 where there are more heads than dimensions (Table 2 has them); the concatenated
    heads are projected back to d.
    """

    def __init__(self, dim: int, heads: int, ffn_ratio: int = 4):
        super().__init__()
        self.heads, self.head_width = heads, max(1, dim // heads)
        width = heads * self.head_width
        self.norm_attention = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * width)
        self.out = nn.Linear(width, dim)
        self.norm_ffn = nn.LayerNorm(dim)
        self.ffn = nn.Sequential(nn.Linear(dim, ffn_ratio * dim), nn.GELU(), nn.Linear(ffn_ratio * dim, dim))

    def forward(self, z: Tensor) -> Tensor:
        q, k, v = self._project(z, 3)
        heads = v @ self._weights(q, k)  # Eq. 10
        z = z + self.out(heads.flatten(1, 2).mT)  # Eq. 11
        return z + self.ffn(self.norm_ffn(z))

    def attention_weights(self, z: Tensor) -> Tensor:
        """(b, h, n, n) the softmax of Eq. 10 for tokens z (b, n, d), without the values; row = from, column = to."""
        return self._weights(*self._project(z, 2)).mT

    def _project(self, z: Tensor, parts: int) -> tuple[Tensor, ...]:
        """Queries, keys (and values) of z, each (b, h, d_h, n).

        Tokens come last: with heads four wide, the products with the n x n weights take a fraction of the time so.
        """
        rows = parts * self.heads * self.head_width
        weight, bias = self.qkv.weight[:rows], self.qkv.bias[:rows, None]
        projected = torch.baddbmm(bias, weight.expand(len(z), -1, -1), self.norm_attention(z).mT)
        return projected.unflatten(1, (parts, self.heads, self.head_width)).unbind(1)

    def _weights(self, q: Tensor, k: Tensor) -> Tensor:
        """(b, h, n, n), row = to, column = from; to scale k is cheaper than to scale n x n scores."""
        return ((k / self.head_width**0.5).mT @ q).softmax(-2)


class ContextualMasking(nn.Module):
    """Eq. 12-16: attention decides how far each token gives way to a learned mask token."""

    def __init__(self, dim: int, beta: float = 2.0):
        super().__init__()
        self.beta = beta
        self.scale = nn.Parameter(torch.ones(()))  # alpha of Eq. 14
        self.mask_token = nn.Parameter(torch.randn(1, dim) * 0.02)

    def forward(self, z: Tensor, attention: Tensor) -> tuple[Tensor, Tensor]:
        """z (b, n, d) and attention (b, h, n, n) -> Z_m (b, n, d) and M_b (b, n)."""
        mean = attention.mean(1)  # Eq. 12: (b, n, n), row = from, column = to
        importance = mean.mean(1)  # Eq. 13: attention received, (b, n)
        mask = torch.sigmoid(self.beta * (self.gamma(mean)[:, None] - importance))  # Eq. 15
        return masked(z, mask, self.mask_token), mask

    def gamma(self, mean: Tensor) -> Tensor:
        """Eq. 14: attention, the mean over heads (b, n, n) -> (b,)."""
        return torch.sigmoid(self.scale * mean.amax(2).mean(1))


class StaticMasking(nn.Module):
    """What Table 4 holds against Eq. 12-15: every token is masked with the same probability, whatever it shows.

    In training M_b is drawn, 0 or 1; in evaluation it is its mean, the probability, as dropout does it.
    """

    def __init__(self, dim: int, probability: float):
        super().__init__()
        if not 0 <= probability <= 1:
            raise ValueError(f"a masking probability lies between 0 and 1, not at {probability}")
        self.probability = probability
        self.mask_token = nn.Parameter(torch.randn(1, dim) * 0.02)

    def forward(self, z: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """z (b, n, d) -> Z_m (b, n, d) and M_b (b, n)."""
        mask = torch.full(z.shape[:2], self.probability, dtype=z.dtype, device=z.device)
        if self.training:
            mask = mask.bernoulli(generator=generator)
        return masked(z, mask, self.mask_token), mask


def masked(z: Tensor, mask: Tensor, mask_token: Tensor) -> Tensor:
    """Eq. 16: tokens z (b, n, d) give way to the mask token (1, d) by M_b (b, n)."""
    return (1 - mask[..., None]) * z + mask[..., None] * mask_token


def cw_mse(
    z: Tensor, z_refined: Tensor, mask: Tensor | None, unmasked: float = 1.2, masked: float = 1.0, *, masked_above: str = "mean"
) -> Tensor:
    """CW-MSE, Eq. 17-18, a scalar: the mean over samples and tokens of CS_i ||Z_i - Z'_m,i||^2.

    Args:
        z, z_refined: (b, n, d) the token embeddings Z and the encoder's output Z'_m.
        mask: (b, n) the soft mask M_b. None: no token is masked.
        unmasked, masked: the two confidence scores of Eq. 18.
        masked_above: open decision 3: a token counts as masked where M_b is above its sample's "mean", or above one "half"
            (every token then is: M_b lies near 0.72).
    """
    if masked_above not in ("mean", "half"):
        raise ValueError(f"masked_above is 'mean' or 'half', not {masked_above!r}")
    error = (z - z_refined).square().sum(2)
    if mask is None:
        return unmasked * error.mean()
    is_masked = mask > (mask.mean(1, keepdim=True) if masked_above == "mean" else 0.5)
    confidence = torch.where(is_masked, error.new_tensor(masked), error.new_tensor(unmasked))  # Eq. 18
    return (confidence * error).mean()
