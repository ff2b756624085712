import pytest
import torch

from lib.models.heads import AttentionPoolHead, MLPHead, Standardised
from lib.models.latent import parse_pooling, pool, pool_by_name
from lib.models.student import Student


def test_pools_have_the_documents_dimensions():
    latent = torch.rand(3, 48, 16)
    assert pool(latent, "global_mean").shape == (3, 48)
    assert pool(latent, "mean_max").shape == (3, 96)
    assert pool(latent, "seg_mean").shape == (3, 384)
    assert pool_by_name(latent, "seg_mean_K16").shape == (3, 768)


def test_segment_means_run_from_short_to_long_wavelengths():
    latent = torch.arange(12.0).expand(1, 2, 12)
    assert pool(latent, "seg_mean", k=3).tolist() == [[1.5, 1.5, 5.5, 5.5, 9.5, 9.5]]


def test_legacy_edges_are_seven_of_one_and_one_of_six_at_thirteen_pixels():
    latent = torch.arange(13.0).expand(1, 1, 13)
    assert pool(latent, "seg_mean", edges="legacy").tolist() == [[0, 1, 2, 3, 4, 5, 6, 9.5]]
    adaptive = pool(latent, "seg_mean")[0]
    assert adaptive.diff().min() >= 1.5  # no segment takes half of the spectrum
    torch.testing.assert_close(pool(torch.rand(2, 3, 16), "seg_mean").shape, torch.Size([2, 24]))


def test_edges_agree_where_segments_divide_the_length():
    latent = torch.rand(2, 3, 16)
    torch.testing.assert_close(pool(latent, "seg_mean", edges="legacy"), pool(latent, "seg_mean"))


@pytest.mark.parametrize(
    ("how", "k", "edges", "says"),
    [("median", 8, "adaptive", "'median' is unknown"), ("seg_mean", 20, "adaptive", "20 segments cannot be cut from 16"),
     ("seg_mean", 0, "adaptive", "0 segments"), ("seg_mean", 8, "even", "edges 'even'")],
)  # fmt: skip
def test_pool_rejects_what_it_cannot_do(how, k, edges, says):
    with pytest.raises(ValueError, match=says):
        pool(torch.rand(1, 2, 16), how, k, edges)


def test_pooling_names_are_read_and_mistyped_ones_refused():
    assert parse_pooling("seg_mean_K32") == ("seg_mean", 32)
    assert parse_pooling("mean_max") == ("mean_max", 1)
    with pytest.raises(ValueError, match="'segmean' is unknown"):
        parse_pooling("segmean")


def test_default_head_has_98817_parameters():
    assert sum(p.numel() for p in MLPHead().parameters()) == 98_817


@pytest.mark.parametrize(("num_hidden", "linears"), [(0, 1), (1, 2), (2, 3)])
def test_heads_have_the_asked_depth(num_hidden, linears):
    head = MLPHead(20, 16, 3, num_hidden=num_hidden)
    assert sum(isinstance(layer, torch.nn.Linear) for layer in head) == linears
    assert head(torch.rand(5, 20)).shape == (5, 3)


def test_head_rejects_impossible_shapes():
    with pytest.raises(ValueError, match="in_dim 0"):
        MLPHead(0)
    with pytest.raises(ValueError, match=r"dropout 1\.5"):
        MLPHead(dropout=1.5)


def test_attention_pool_starts_as_a_mean_when_scores_are_equal():
    head = AttentionPoolHead(4, 16, k=2).eval()
    torch.nn.init.zeros_(head.score.weight)
    torch.nn.init.zeros_(head.score.bias)
    latent = torch.rand(3, 4, 16)
    torch.testing.assert_close(head(latent), head.head(latent.mean(-1).repeat(1, 2)))


def test_standardised_head_answers_in_the_labels_unit():
    head = MLPHead(2, num_hidden=0)
    torch.nn.init.constant_(head[0].weight, 1.0)
    torch.nn.init.zeros_(head[0].bias)
    mean, scale = torch.tensor([10.0, 20.0]), torch.tensor([2.0, 4.0])
    wrapped = Standardised(head, mean, scale, torch.tensor([3.0]), torch.tensor([0.5]))
    assert wrapped(torch.tensor([[12.0, 20.0]])).item() == pytest.approx(3.5)
    assert sum(p.numel() for p in wrapped.parameters()) == 3


def test_student_imitates_a_teacher_and_is_smaller_than_the_original_encoder():
    torch.manual_seed(0)
    student, x = Student(24), torch.randn(32, 2, 512)
    target = torch.stack([x[:, 0].mean(-1), x[:, 0, :64].mean(-1)], 1).repeat(1, 12) * 20
    adam = torch.optim.Adam(student.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        loss = (student(x) - target).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
    assert sum(p.numel() for p in Student(384).parameters()) < 150_000
    with pytest.raises(ValueError, match="100 pixels are too few"):
        student(torch.randn(1, 2, 100))
