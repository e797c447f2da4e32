"""Poolings that know where a feature is."""

import torch

from rl.vision.spatial import AddSpatialCoordinates, SpatialLearnedEmbeddings, SpatialSoftmax


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
