"""What the paper says of the network beyond its equations, and what users of it rely on."""

import pytest
import torch

import cpdgal
from cpdgal import CPDGAL, DGFR


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def windows(n=4, bands=15, window=7, seed=0):
    return torch.randn(n, bands, window, window, generator=torch.Generator().manual_seed(seed))


def test_parameter_counts_are_the_design_s():
    assert count(CPDGAL(classes=14)) == 87_539  # the paper's 87,538 and the scalar of Eq. 14
    assert count(CPDGAL(classes=16)) == 87_605


def test_the_vit_has_exactly_what_is_left():
    full, vit = CPDGAL(), cpdgal.build("vit")
    removed = count(full.dgfr) + count(full.masking)
    assert count(vit) == count(full) - removed
    assert set(vit.state_dict()) == {n for n in full.state_dict() if not n.startswith(("dgfr.", "masking."))}
    assert count(cpdgal.build("cpdgal-no-dgfr")) == count(full) - count(full.dgfr)
    assert count(cpdgal.build("cpdgal-no-masking")) == count(full) - count(full.masking)


def test_gradients_reach_every_drawn_alpha_the_mask_token_and_the_scale():
    model = CPDGAL(classes=4, steps=12).train()
    t = torch.tensor([1, 3, 7, 12])
    noise = torch.randn(4, 49, 32, generator=torch.Generator().manual_seed(0))
    out = model(windows(), t, noise)
    (
        torch.nn.functional.cross_entropy(out.logits, torch.arange(4)) + cpdgal.cw_mse(out.tokens, out.refined, out.mask)
    ).backward()
    drawn = torch.zeros(12, dtype=torch.bool)
    drawn[t - 1] = True
    assert torch.equal(model.dgfr.schedule.grad != 0, drawn)
    assert (model.masking.mask_token.grad != 0).all()
    assert model.masking.scale.grad != 0
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_equation_8_at_its_limits():
    dgfr = DGFR(8, 5, steps=10_000).double()
    with torch.no_grad():
        for parameter in dgfr.blocks.parameters():
            parameter.uniform_(-0.5, 0.5, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    z, noise = (torch.randn(2, 5, 8, generator=generator, dtype=torch.float64) for _ in range(2))
    last, first = torch.full((2,), 10_000), torch.ones(2, dtype=torch.long)
    corrupted = dgfr.alpha()[-1] * z + (1 - dgfr.alpha()[-1]) * noise + dgfr.time_embedding(last)[:, None]
    torch.testing.assert_close(dgfr(z, last, noise), dgfr.denoise(corrupted))  # t = T: the denoised alone
    assert (dgfr(z, first, noise) - z).abs().max() < 1e-3  # lambda to 0: Z
    assert (dgfr(z, first, noise) - z).abs().max() > 0


def test_the_denoiser_is_the_identity_at_initialisation():
    z = torch.randn(2, 49, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(CPDGAL().dgfr.denoise(z), z)


def test_inference_is_deterministic_and_training_is_not():
    model = cpdgal.build("cpdgal")
    x = windows()
    assert not torch.equal(model.train()(x).logits, model(x).logits)
    assert torch.equal(model.eval()(x).logits, model(x).logits)


@pytest.mark.parametrize("refinement", ["identity", "last", "average"])
def test_refinement_at_inference(refinement):
    dgfr = DGFR(8, 5, steps=10, refinement=refinement, draws=200).eval()
    with torch.no_grad():
        dgfr.blocks[-1][-1].bias.fill_(0.5)
    z = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    refined = dgfr(z, generator=torch.Generator().manual_seed(1))
    if refinement == "identity":
        assert torch.equal(refined, z)
    elif refinement == "last":
        t = torch.full((2,), 10)
        torch.testing.assert_close(refined, dgfr.denoise(dgfr.alpha()[-1] * z + dgfr.time_embedding(t)[:, None]))
    else:
        draws = [dgfr.train()(z, generator=torch.Generator().manual_seed(s)) for s in range(300)]
        assert (refined - torch.stack(draws).mean(0)).abs().max() < 0.3
        assert (refined - draws[0]).abs().max() > 0.3


def test_masking_can_be_left_out_at_inference():
    model = CPDGAL(mask_at_inference=False)
    assert model.eval()(windows()).mask is None
    assert model.train()(windows()).mask is not None


@pytest.mark.parametrize("heads", [8, 16, 32, 64])
def test_more_heads_than_dimensions(heads):  # Table 2: D = 8 with 16 and 32 heads
    model = CPDGAL(dim=8, heads=heads, layers=2)
    assert model.blocks[0].qkv.out_features == 3 * heads * max(1, 8 // heads)
    assert model(windows()).logits.shape == (4, 16)


def test_attention_weights_are_computed_in_the_first_block_only(monkeypatch):
    asked, original = [], cpdgal.EncoderBlock.attention_weights
    monkeypatch.setattr(cpdgal.EncoderBlock, "attention_weights", lambda self, z: asked.append(self) or original(self, z))
    model = CPDGAL()
    model(windows())
    assert asked == [model.blocks[0]]


def test_weights_are_a_function_of_the_seed_and_the_global_state_is_left_alone():
    before = torch.random.get_rng_state()
    first, second, other = (cpdgal.build("cpdgal", seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"patch": 2}, "a patch of 2 does not divide a window of 7"),
        ({"pooling": "max"}, "pooling is 'mean' or 'centre', not 'max'"),
        ({"refinement": "twice"}, "refinement is 'identity', 'last' or 'average', not 'twice'"),
    ],
)
def test_wrong_options_are_named(options, said):
    with pytest.raises(ValueError, match=said):
        CPDGAL(**options)


def test_a_wrong_input_or_name_says_what_is_accepted():
    with pytest.raises(ValueError, match=r"windows of shape \(b, 15, 7, 7\), not \(4, 15, 9, 9\)"):
        CPDGAL()(windows(window=9))
    with pytest.raises(ValueError, match=r"no network is called 'resnet'; known are cpdgal, vit, .*ssftt"):
        cpdgal.build("resnet")
