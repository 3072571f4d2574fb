"""The models of the built-in tasks.

The two-layer network, the convolutional network and the character model are those of McMahan,
Moore, Ramage, Hampson, Agüera y Arcas. "Communication-Efficient Learning of Deep Networks from
Decentralized Data", AISTATS 2017, §3. https://arxiv.org/abs/1602.05629

Inputs may have any shape a data set comes in: images are flattened or given their channel here.
"""

from __future__ import annotations

from torch import Tensor, nn


def softmax_regression(n_inputs: int, n_classes: int) -> nn.Module:
    """Multinomial logistic regression: one linear layer."""
    return nn.Sequential(nn.Flatten(), nn.Linear(n_inputs, n_classes))


def perceptron(n_inputs: int, n_classes: int, hidden: tuple[int, ...]) -> nn.Module:
    """Fully connected layers with ReLU between; the paper's 2NN is 784 → 200 → 200 → 10."""
    widths = (n_inputs, *hidden)
    layers: list[nn.Module] = [nn.Flatten()]
    for width, following in zip(widths, hidden, strict=False):
        layers += [nn.Linear(width, following), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], n_classes))


def convolutional(side: int, n_classes: int) -> nn.Module:
    """Two 5×5 convolutions (32 and 64 channels), each with 2×2 max pooling, then 512 units.

    For 28 × 28 pixels and 10 classes it has the paper's 1,663,370 parameters. The paper
    does not say how they start: here weights by Glorot and Bengio's rule (2010, equation 16), biases
    at zero, the default of TensorFlow's layers. Torch's own start took two or three rounds more to
    99 %.
    """
    model = nn.Sequential(
        nn.Unflatten(1, (1, side)),
        nn.Conv2d(1, 32, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * (side // 4) ** 2, 512),
        nn.ReLU(),
        nn.Linear(512, n_classes),
    )
    for layer in model:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            assert layer.bias is not None, "made above, with a bias"
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return model


class CharacterModel(nn.Module):
    """Predicts the next character: an embedding of 8, two LSTM layers of 256, a linear layer.

    Characters [n, length] as codes to logits [n, characters] of the one that follows.

    Args:
        n_characters: Size of the alphabet.
    """

    def __init__(self, n_characters: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_characters, 8)
        self.lstm = nn.LSTM(8, 256, num_layers=2, batch_first=True)
        self.output = nn.Linear(256, n_characters)

    def forward(self, characters: Tensor) -> Tensor:
        """Read all characters, predict one."""
        states, _ = self.lstm(self.embedding(characters))
        logits: Tensor = self.output(states[:, -1])
        return logits
