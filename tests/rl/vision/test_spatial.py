"""Poolings that know where a feature is."""

import torch

from rl.vision.spatial import AddSpatialCoordinates, SpatialLearnedEmbeddings, SpatialSoftmax, channel_major


def test_spatial_softmax_finds_the_peak_of_a_square_map():
    features = torch.zeros(1, 5, 5, 2)
    features[0, 1, 3, 0] = 50.0
    features[0, 4, 0, 1] = 50.0
    expected = torch.tensor([[0.5, -1.0, -0.5, 1.0]])
    torch.testing.assert_close(SpatialSoftmax()(features), expected)


def test_coordinates_are_the_row_and_the_column():
    x = AddSpatialCoordinates()(torch.zeros(2, 3, 5, 1))
    assert torch.equal(x[1, :, 2, 1], torch.tensor([-1.0, 0.0, 1.0]))
    assert torch.equal(x[1, 2, :, 2], torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0]))


def test_embeddings_of_given_size_have_parameters_at_once():
    embeddings = SpatialLearnedEmbeddings(3, 4, 8, 5)
    assert embeddings.is_materialised
    assert embeddings(torch.randn(2, 3, 4, 8)).shape == (2, 40)


def test_embeddings_are_each_channels_weighted_sums_in_any_layout_of_the_maps():
    maps = torch.randn(6, 3, 4, 8)
    embeddings = SpatialLearnedEmbeddings(3, 4, 8, 5)
    expected = torch.einsum("bhwc,kchw->bck", maps, embeddings.weight).flatten(1)
    for same in (maps, channel_major(maps), maps.permute(3, 0, 1, 2).contiguous().permute(1, 2, 3, 0)):
        torch.testing.assert_close(embeddings(same), expected)
        torch.testing.assert_close(embeddings(same[2:5]), expected[2:5])
    torch.testing.assert_close(embeddings(maps[0]), expected[0])


def test_maps_that_are_channel_major_already_are_not_copied():
    maps = torch.randn(6, 3, 4, 8)
    arranged = channel_major(maps)
    assert torch.equal(arranged, maps)
    for rows in (arranged, arranged[2:5]):
        assert channel_major(rows).data_ptr() == rows.data_ptr()
