"""What a reference is, and the works on initialization; `justright.core.bibliography` lists them with all others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["INITIALIZATION", "Reference"]


@dataclass(frozen=True, slots=True)
class Reference:
    """One work.

    Parameters
    ----------
    authors, title, venue, year
        As printed; of more than six authors the first five.
    link
        ``"arXiv 1502.01852"``, ``"doi 10.1109/..."`` or ``"ISBN ..."``.
    """

    authors: str
    title: str
    venue: str
    year: int
    link: str

    def __str__(self) -> str:
        """Return the citation on one line."""
        return f"{self.authors}: {self.title}. {self.venue} {self.year}. {self.link}"


INITIALIZATION: Mapping[str, Reference] = MappingProxyType(
    {
        "Aitken2017": Reference(
            "Aitken, Ledig, Theis, Caballero, Wang et al.",
            "Checkerboard artifact free sub-pixel convolution: a note on sub-pixel convolution, resize "
            "convolution and convolution resize",
            "preprint", 2017, "arXiv 1707.02937",
        ),
        "Arjovsky2015": Reference(
            "Arjovsky, Shah, Bengio",
            "Unitary evolution recurrent neural networks",
            "ICML", 2016, "arXiv 1511.06464",
        ),
        "Dauphin2019": Reference(
            "Dauphin, Schoenholz",
            "MetaInit: initializing learning by learning to initialize",
            "NeurIPS", 2019, "ISBN 978-1-7138-0793-3",
        ),
        "Dey2025": Reference(
            "Dey, Zhang, Noci, Li, Bordelon et al.",
            "Don't be lazy: CompleteP enables compute-efficient deep transformers",
            "NeurIPS", 2025, "arXiv 2505.01618",
        ),
        "Gers2000": Reference(
            "Gers, Schmidhuber, Cummins",
            "Learning to forget: continual prediction with LSTM",
            "Neural Computation 12(10)", 2000, "doi 10.1162/089976600300015015",
        ),
        "Gu2020": Reference(
            "Gu, Dao, Ermon, Rudra, Re",
            "HiPPO: recurrent memory with optimal polynomial projections",
            "NeurIPS", 2020, "arXiv 2008.07669",
        ),
        "Gu2022": Reference(
            "Gu, Gupta, Goel, Re",
            "On the parameterization and initialization of diagonal state space models",
            "NeurIPS", 2022, "arXiv 2206.11893",
        ),
        "Gu2023": Reference(
            "Gu, Dao",
            "Mamba: linear-time sequence modeling with selective state spaces",
            "preprint", 2023, "arXiv 2312.00752",
        ),
        "Huang2020": Reference(
            "Huang, Perez, Ba, Volkovs",
            "Improving transformer optimization through better initialization",
            "ICML", 2020, "https://proceedings.mlr.press/v119/huang20f.html",
        ),
        "Jozefowicz2015": Reference(
            "Jozefowicz, Zaremba, Sutskever",
            "An empirical exploration of recurrent network architectures",
            "ICML", 2015, "https://proceedings.mlr.press/v37/jozefowicz15.html",
        ),
        "Krahenbuhl2015": Reference(
            "Krahenbuhl, Doersch, Donahue, Darrell",
            "Data-dependent initializations of convolutional neural networks",
            "ICLR", 2016, "arXiv 1511.06856",
        ),
        "Le2015": Reference(
            "Le, Jaitly, Hinton",
            "A simple way to initialize recurrent networks of rectified linear units",
            "preprint", 2015, "arXiv 1504.00941",
        ),
        "Liu2020": Reference(
            "Liu, Liu, Gao, Chen, Han",
            "Understanding the difficulty of training transformers",
            "EMNLP", 2020, "arXiv 2004.08249",
        ),
        "Long2014": Reference(
            "Long, Shelhamer, Darrell",
            "Fully convolutional networks for semantic segmentation",
            "CVPR", 2015, "arXiv 1411.4038",
        ),
        "Martens2010": Reference(
            "Martens",
            "Deep learning via Hessian-free optimization",
            "ICML", 2010, "ISBN 978-1-60558-907-7",
        ),
        "Meng2024": Reference(
            "Meng, Wang, Zhang",
            "PiSSA: principal singular values and singular vectors adaptation of large language models",
            "NeurIPS", 2024, "arXiv 2404.02948",
        ),
        "Mezzadri2006": Reference(
            "Mezzadri",
            "How to generate random matrices from the classical compact groups",
            "Notices of the AMS 54(5)", 2007, "arXiv math-ph/0609050",
        ),
        "Mishkin2015": Reference(
            "Mishkin, Matas",
            "All you need is a good init",
            "ICLR", 2016, "arXiv 1511.06422",
        ),
        "Nguyen2019": Reference(
            "Nguyen, Salazar",
            "Transformers without tears: improving the normalization of self-attention",
            "IWSLT", 2019, "arXiv 1910.05895",
        ),
        "Pan2025": Reference(
            "Pan, Wang, Li, Zhang, Wang et al.",
            "IDInit: a universal and stable initialization method for neural network training",
            "ICLR", 2025, "arXiv 2503.04626",
        ),
        "DAgostino1986": Reference(
            "DAgostino, Stephens", "Goodness-of-fit techniques", "Marcel Dekker", 1986, "ISBN 0-8247-7487-6",
        ),
        "Pennington2017": Reference(
            "Pennington, Schoenholz, Ganguli",
            "Resurrecting the sigmoid in deep learning through dynamical isometry: theory and practice",
            "NeurIPS", 2017, "arXiv 1711.04735",
        ),
        "Saxe2013": Reference(
            "Saxe, McClelland, Ganguli",
            "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks",
            "ICLR", 2014, "arXiv 1312.6120",
        ),
        "Sitzmann2020": Reference(
            "Sitzmann, Martel, Bergman, Lindell, Wetzstein",
            "Implicit neural representations with periodic activation functions",
            "NeurIPS", 2020, "arXiv 2006.09661",
        ),
        "Tallec2018": Reference(
            "Tallec, Ollivier",
            "Can recurrent neural networks warp time?",
            "ICLR", 2018, "arXiv 1804.11188",
        ),
        "Touvron2021": Reference(
            "Touvron, Cord, Sablayrolles, Synnaeve, Jegou",
            "Going deeper with image transformers",
            "ICCV", 2021, "arXiv 2103.17239",
        ),
        "Wang2021": Reference(
            "Wang, Komatsuzaki",
            "GPT-J-6B: a 6 billion parameter autoregressive language model",
            "software", 2021, "https://github.com/kingoflolz/mesh-transformer-jax",
        ),
        "Wang2022a": Reference(
            "Wang, Ma, Dong, Huang, Zhang et al.",
            "DeepNet: scaling transformers to 1,000 layers",
            "preprint", 2022, "arXiv 2203.00555",
        ),
        "Wang2022b": Reference(
            "Wang, Ma, Huang, Dong, Wang et al.",
            "Foundation transformers",
            "ICML", 2023, "arXiv 2210.06423",
        ),
        "Xiao2018": Reference(
            "Xiao, Bahri, Sohl-Dickstein, Schoenholz, Pennington",
            "Dynamical isometry and a mean field theory of CNNs: how to train 10,000-layer vanilla "
            "convolutional neural networks",
            "ICML", 2018, "arXiv 1806.05393",
        ),
        "Yang2022": Reference(
            "Yang, Hu, Babuschkin, Sidor, Liu et al.",
            "Tensor programs V: tuning large neural networks via zero-shot hyperparameter transfer",
            "NeurIPS", 2021, "arXiv 2203.03466",
        ),
        "Yang2023": Reference(
            "Yang, Simon, Bernstein",
            "A spectral condition for feature learning",
            "preprint", 2023, "arXiv 2310.17813",
        ),
        "Zagoruyko2017": Reference(
            "Zagoruyko, Komodakis",
            "DiracNets: training very deep neural networks without skip-connections",
            "preprint", 2017, "arXiv 1706.00388",
        ),
        "Zhao2021": Reference(
            "Zhao, Schaefer, Anandkumar",
            "ZerO initialization: initializing neural networks with only zeros and ones",
            "TMLR", 2022, "arXiv 2110.12661",
        ),
        "Zhu2021": Reference(
            "Zhu, Ni, Xu, Kong, Huang et al.",
            "GradInit: learning to initialize neural networks for stable and efficient training",
            "NeurIPS", 2021, "arXiv 2102.08098",
        ),
    }
)  # fmt: skip
"""Works on how to initialize a network, by key."""
