"""Every equation of the paper against a plain reading of it in NumPy, in float64, with t and noise given."""

import copy

import numpy as np
import pytest
import torch
from scipy.special import erf

import cpdgal
from cpdgal import CPDGAL, DGFR, ContextualMasking, EncoderBlock, PatchEmbedding

B, C, W, D, H, K, T = 3, 5, 4, 8, 2, 4, 10


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def numbers(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy() for name, value in module.named_parameters()}


def randomised(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """The module in float64 with every parameter away from its initial value, so that no term hides behind a zero."""
    generator = torch.Generator().manual_seed(seed)
    module = copy.deepcopy(module).double()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            drawn = torch.rand(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(0.2 + 0.6 * drawn if name.endswith("schedule") else 1.5 * drawn - 0.6)
    return module


def tensor(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def agree(ours: torch.Tensor, theirs: np.ndarray):
    np.testing.assert_allclose(ours.detach().numpy(), theirs, rtol=1e-10, atol=1e-12)


# The paper in NumPy


def layer_norm(x, weight, bias):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * weight + bias


def gelu(x):
    return x * (1 + erf(x / np.sqrt(2))) / 2


def paper_embedding(x, p, patch):  # Eq. 1-3
    b, _, w, _ = x.shape
    n = (w // patch) ** 2
    z = np.empty((b, n, p["project.weight"].shape[0]))
    for sample in range(b):
        i = 0
        for row in range(0, w, patch):
            for column in range(0, w, patch):
                pixels = [x[sample, :, row + r, column + c] for r in range(patch) for c in range(patch)]
                z[sample, i] = p["project.weight"] @ np.concatenate(pixels) + p["project.bias"] + p["position"][i]
                i += 1
        assert i == n
    return z


def paper_denoiser(z_t, p, residual_blocks=False, residual_denoiser=True):  # Eq. 7
    f = z_t
    for block in "01":
        hidden = layer_norm(f, p[f"blocks.{block}.0.weight"], p[f"blocks.{block}.0.bias"])
        hidden = gelu(hidden @ p[f"blocks.{block}.1.weight"].T + p[f"blocks.{block}.1.bias"])
        hidden = hidden @ p[f"blocks.{block}.3.weight"].T + p[f"blocks.{block}.3.bias"]
        f = f + hidden if residual_blocks else hidden
    return z_t + f if residual_denoiser else f


def paper_dgfr(z, t, noise, p, steps, clip=(0.01, 0.99)):  # Eq. 4-8
    out = np.empty_like(z)
    for sample in range(len(z)):
        step = int(t[sample])
        alpha = min(max(p["schedule"][step - 1], clip[0]), clip[1])
        corrupted = alpha * z[sample] + (1 - alpha) * noise[sample]
        embedding = p["phi.weight"][:, 0] * (step / steps) + p["phi.bias"]
        mix = min(1, step / steps)
        out[sample] = mix * paper_denoiser(corrupted + embedding, p) + (1 - mix) * z[sample]
    return out


def paper_attention(z, p, heads):  # Eq. 9-10 on normalised tokens: weights (b, h, n, n) and values (b, h, n, d_h)
    b, n, d = z.shape
    width = max(1, d // heads)
    z = layer_norm(z, p["norm_attention.weight"], p["norm_attention.bias"])
    q, k, v = np.split(z @ p["qkv.weight"].T + p["qkv.bias"], 3, axis=-1)
    weights, values = np.empty((b, heads, n, n)), np.empty((b, heads, n, width))
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        for sample in range(b):
            score = q[sample, :, part] @ k[sample, :, part].T / np.sqrt(width)
            weights[sample, head] = np.exp(score) / np.exp(score).sum(1, keepdims=True)
            values[sample, head] = v[sample, :, part]
    return weights, values


def paper_block(z, p, heads):  # Eq. 9-11, then the feed-forward network, each behind its norm and beside a residual
    weights, values = paper_attention(z, p, heads)
    concatenated = np.concatenate([weights[:, head] @ values[:, head] for head in range(heads)], axis=-1)
    z = z + concatenated @ p["out.weight"].T + p["out.bias"]
    hidden = gelu(layer_norm(z, p["norm_ffn.weight"], p["norm_ffn.bias"]) @ p["ffn.0.weight"].T + p["ffn.0.bias"])
    return z + hidden @ p["ffn.2.weight"].T + p["ffn.2.bias"]


def paper_masking(z, attention, p, beta):  # Eq. 12-16
    b, heads, n, _ = attention.shape
    masked, mask = np.empty_like(z), np.empty((b, n))
    for sample in range(b):
        mean = sum(attention[sample, head] for head in range(heads)) / heads
        importance = np.array([sum(mean[j, i] for j in range(n)) / n for i in range(n)])
        gamma = sigmoid(p["scale"] * sum(max(mean[i, j] for j in range(n)) for i in range(n)) / n)
        mask[sample] = sigmoid(beta * (gamma - importance))
        for i in range(n):
            masked[sample, i] = (1 - mask[sample, i]) * z[sample, i] + mask[sample, i] * p["mask_token"][0]
    return masked, mask


def paper_cw_mse(z, refined, mask, unmasked, masked):  # Eq. 17-18
    b, n, _ = z.shape
    total = 0.0
    for sample in range(b):
        for i in range(n):
            confidence = masked if mask[sample, i] > mask[sample].mean() else unmasked
            total += confidence * np.sum((z[sample, i] - refined[sample, i]) ** 2)
    return total / (b * n)


def of(parameters, prefix):
    return {name[len(prefix) :]: value for name, value in parameters.items() if name.startswith(prefix)}


# Ours against it


@pytest.mark.parametrize("patch", [1, 2, 4])
def test_patch_embedding_is_equations_1_to_3(patch):
    embedding = randomised(PatchEmbedding(C, W, patch, D))
    x = tensor(B, C, W, W)
    agree(embedding(x), paper_embedding(x.numpy(), numbers(embedding), patch))


def test_schedule_is_clipped_and_one_entry_a_step():
    dgfr = DGFR(D, W * W, T).double()
    with torch.no_grad():
        dgfr.schedule.copy_(torch.linspace(-0.5, 1.5, T, dtype=torch.float64))
    agree(dgfr.alpha(), np.clip(np.linspace(-0.5, 1.5, T), 0.01, 0.99))
    assert ((dgfr.alpha() > 0) & (dgfr.alpha() < 1)).all()


def test_a_sigmoid_schedule_stays_within_its_range_and_keeps_its_gradient_at_the_ends():
    dgfr = DGFR(D, W * W, T, alpha_range=(0.9, 0.3), alpha_clip=(0.2, 0.95), alpha_form="sigmoid").double()
    agree(dgfr.alpha(), 0.2 + 0.75 * sigmoid(numbers(dgfr)["schedule"]))
    np.testing.assert_allclose(dgfr.alpha().detach(), np.linspace(0.9, 0.3, T), atol=1e-6)  # float32 before training
    at_the_clip = [DGFR(D, W * W, T, alpha_range=(0.99, 0.99), alpha_form=form) for form in ("sigmoid", "clamp")]
    with torch.no_grad():
        at_the_clip[1].schedule += 0.1  # where training had taken it
    for dgfr in at_the_clip:
        dgfr.alpha().sum().backward()
    assert (at_the_clip[0].schedule.grad > 0).all()
    assert (at_the_clip[1].schedule.grad == 0).all()
    with pytest.raises(ValueError, match=r"^alpha_form is 'clamp', 'sigmoid' or 'fixed', not 'tanh'$"):
        DGFR(D, W * W, T, alpha_form="tanh")


def test_a_fixed_schedule_is_the_clamped_one_without_a_gradient():
    fixed, learned = (DGFR(D, W * W, T, alpha_range=(0.9, 0.3), alpha_form=form) for form in ("fixed", "clamp"))
    agree(fixed.alpha(), learned.alpha().detach().numpy())
    before = fixed.schedule.clone()
    network = CPDGAL(bands=C, window=W, classes=K, dim=D, heads=H, layers=1, steps=T, alpha_form="fixed").train()
    network.loss(torch.randn(B, C, W, W), torch.randint(0, K, (B,))).backward()
    assert network.dgfr.schedule.grad is None
    assert torch.equal(fixed.schedule, before)


def test_without_conditioning_the_denoiser_does_not_see_the_step():
    dgfr = randomised(DGFR(D, W * W, T, conditioned=False))
    z, noise = tensor(B, W * W, D), tensor(B, W * W, D)
    p, t = numbers(dgfr), np.array([1, 3, T])[:B]
    alpha = np.clip(p["schedule"], 0.01, 0.99)[t - 1][:, None, None]
    z_t = torch.as_tensor(alpha) * z + torch.as_tensor(1 - alpha) * noise
    mix = torch.as_tensor(t / T)[:, None, None]
    expected = mix * dgfr.denoise(z_t) + (1 - mix) * z
    agree(dgfr.refine(z, torch.as_tensor(t), noise), expected.detach().numpy())


def test_the_weight_of_unmasked_tokens_goes_to_equation_18():
    sizes = {"bands": C, "window": W, "classes": K, "dim": D, "heads": H, "layers": 1, "steps": T}
    network = CPDGAL(**sizes, unmasked_weight=3.0, cw_mse_weight=0.5).eval()
    x, y = torch.randn(B, C, W, W), torch.randint(0, K, (B,))
    out = network(x)
    expected = torch.nn.functional.cross_entropy(out.logits, y) + 0.5 * cpdgal.cw_mse(
        out.tokens, out.refined, out.mask, unmasked=3.0
    )
    torch.testing.assert_close(network.loss(x, y), expected)


def test_time_embedding_is_equation_5():
    dgfr = randomised(DGFR(D, W * W, T))
    t = torch.tensor([1, 5, T])
    p = numbers(dgfr)
    agree(dgfr.time_embedding(t), np.array([1, 5, T])[:, None] / T * p["phi.weight"][:, 0] + p["phi.bias"])


@pytest.mark.parametrize("residual_denoiser", [True, False])
@pytest.mark.parametrize("residual_blocks", [True, False])
def test_denoiser_is_equation_7(residual_blocks, residual_denoiser):
    readings = {"residual_blocks": residual_blocks, "residual_denoiser": residual_denoiser}
    dgfr = randomised(DGFR(D, W * W, T, **readings))
    z_t = tensor(B, W * W, D)
    agree(dgfr.denoise(z_t), paper_denoiser(z_t.numpy(), numbers(dgfr), **readings))


def test_the_denoiser_starts_as_the_identity_where_a_residual_lets_it():
    z_t = tensor(B, W * W, D)
    starts = {
        (blocks, denoiser): DGFR(D, W * W, T, residual_blocks=blocks, residual_denoiser=denoiser).double().denoise(z_t)
        for blocks in (False, True)
        for denoiser in (False, True)
    }
    agree(starts[False, True], z_t.numpy())
    agree(starts[True, False], z_t.numpy())
    agree(starts[True, True], 2 * z_t.numpy())
    assert starts[False, False].std() > 0.01  # neither zero nor the tokens: nothing to start from


@pytest.mark.parametrize("t", [[1, 4, 10], [10, 10, 2]])
def test_dgfr_is_equations_4_to_8(t):
    dgfr = randomised(DGFR(D, W * W, T))
    z, noise = tensor(B, W * W, D), tensor(B, W * W, D, seed=2)
    agree(dgfr(z, torch.tensor(t), noise), paper_dgfr(z.numpy(), t, noise.numpy(), numbers(dgfr), T))


@pytest.mark.parametrize("heads", [1, 2, 8, 16])
def test_encoder_block_is_equations_9_to_11(heads):
    block = randomised(EncoderBlock(D, heads))
    z = tensor(B, W * W, D)
    agree(block.attention_weights(z), paper_attention(z.numpy(), numbers(block), heads)[0])
    agree(block(z), paper_block(z.numpy(), numbers(block), heads))


@pytest.mark.parametrize("beta", [2.0, 5.0])
def test_masking_is_equations_12_to_16(beta):
    masking = randomised(ContextualMasking(D, beta))
    z, attention = tensor(B, W * W, D), tensor(B, H, W * W, W * W, seed=2).mul(3).softmax(-1)
    masked, mask = masking(z, attention)
    expected_masked, expected_mask = paper_masking(z.numpy(), attention.numpy(), numbers(masking), beta)
    agree(mask, expected_mask)
    agree(masked, expected_masked)


def test_cw_mse_is_equations_17_and_18():
    z, refined, mask = tensor(B, 7, D), tensor(B, 7, D, seed=2), tensor(B, 7, seed=3).sigmoid()
    for weights in ((1.2, 1.0), (3.0, 0.5)):
        agree(cpdgal.cw_mse(z, refined, mask, *weights), paper_cw_mse(z.numpy(), refined.numpy(), mask.numpy(), *weights))
    agree(cpdgal.cw_mse(z, refined, mask), paper_cw_mse(z.numpy(), refined.numpy(), mask.numpy(), 1.2, 1.0))
    agree(cpdgal.cw_mse(z, refined, None), paper_cw_mse(z.numpy(), refined.numpy(), np.zeros((B, 7)), 1.2, 1.0))


def test_margin_is_section_2_5():
    p = np.array([[0.5, 0.3, 0.15, 0.05], [0.05, 0.1, 0.15, 0.7]])
    np.testing.assert_allclose(cpdgal.margin(p), [0.35, 0.6])
    np.testing.assert_allclose(cpdgal.margin(p, k=2), [0.2, 0.55])
    for wrong in (1, 5):
        with pytest.raises(ValueError, match="k-th margin"):
            cpdgal.margin(p, k=wrong)


@pytest.mark.parametrize(("use_dgfr", "use_masking"), [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("pooling", ["mean", "centre"])
def test_whole_network_is_section_2(use_dgfr, use_masking, pooling):
    model = CPDGAL(C, W, K, dim=D, heads=H, layers=3, steps=T, use_dgfr=use_dgfr, use_masking=use_masking, pooling=pooling)
    model = randomised(model)
    x, t, noise = tensor(B, C, W, W), torch.tensor([2, 7, 10]), tensor(B, W * W, D, seed=2)
    out = model(x, t, noise)

    p = numbers(model)
    z = paper_embedding(x.numpy(), of(p, "embedding."), 1)
    z_final = paper_dgfr(z, t, noise.numpy(), of(p, "dgfr."), T) if use_dgfr else z
    encoded = z_final
    if use_masking:
        attention, _ = paper_attention(z_final, of(p, "blocks.0."), H)
        encoded, mask = paper_masking(z_final, attention, of(p, "masking."), 2.0)
        agree(out.mask, mask)
    else:
        assert out.mask is None
    for layer in range(3):
        encoded = paper_block(encoded, of(p, f"blocks.{layer}."), H)
    refined = layer_norm(encoded, p["norm.weight"], p["norm.bias"])
    pooled = refined.mean(1) if pooling == "mean" else refined[:, W * W // 2]
    agree(out.tokens, z)
    agree(out.refined, refined)
    agree(out.logits, pooled @ p["head.weight"].T + p["head.bias"])
