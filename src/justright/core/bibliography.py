"""The bibliography: every key in square brackets that a docstring cites, with where to find the work.

Examples
--------
>>> print(BIBLIOGRAPHY["He2015"])
He, Zhang, Ren, Sun: Delving deep into rectifiers: surpassing human-level performance on ImageNet classification. ICCV
2015. arXiv 1502.01852
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["BIBLIOGRAPHY", "Reference", "cited"]

CITATION = re.compile(r"\[([A-Z][A-Za-z]+(?:19|20)\d\d[a-z]?)\]")
"""How a docstring cites: a name and a year in square brackets."""


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


def cited(text: str) -> frozenset[str]:
    """Return the keys that a text cites.

    Examples
    --------
    >>> sorted(cited("the slope is 1/4 [Glorot2010], [He2015]; a list [3]"))
    ['Glorot2010', 'He2015']
    """
    return frozenset(CITATION.findall(text))


BIBLIOGRAPHY: Mapping[str, Reference] = MappingProxyType(
    {
        "Arora2019": Reference(
            "Arora, Li, Lyu",
            "Theoretical analysis of auto rate-tuning by batch normalization", "ICLR", 2019, "arXiv 1812.03981",
        ),
        "Bachlechner2020": Reference(
            "Bachlechner, Majumder, Mao, Cottrell, McAuley",
            "ReZero is all you need: fast convergence at large depth",
            "UAI", 2021, "arXiv 2003.04887",
        ),
        "Bengio2013": Reference(
            "Bengio, Léonard, Courville",
            "Estimating or propagating gradients through stochastic neurons for conditional computation",
            "preprint", 2013, "arXiv 1308.3432",
        ),
        "Glorot2010": Reference(
            "Glorot, Bengio",
            "Understanding the difficulty of training deep feedforward neural networks",
            "AISTATS (PMLR 9:249-256)", 2010, "https://proceedings.mlr.press/v9/glorot10a.html",
        ),
        "Goldberg1991": Reference(
            "Goldberg",
            "What every computer scientist should know about floating-point arithmetic",
            "ACM Computing Surveys 23(1)", 1991, "doi 10.1145/103162.103163",
        ),
        "Goodfellow2016": Reference(
            "Goodfellow, Bengio, Courville", "Deep learning", "MIT Press", 2016, "ISBN 978-0-262-03561-3",
        ),
        "Hayou2021": Reference(
            "Hayou, Clerico, He, Deligiannidis, Doucet, Rousseau",
            "Stable ResNet",
            "AISTATS (PMLR 130:1324-1332)", 2021, "arXiv 2010.12859",
        ),
        "He2015": Reference(
            "He, Zhang, Ren, Sun",
            "Delving deep into rectifiers: surpassing human-level performance on ImageNet classification",
            "ICCV", 2015, "arXiv 1502.01852",
        ),
        "Hochreiter1991": Reference(
            "Hochreiter",
            "Untersuchungen zu dynamischen neuronalen Netzen",
            "diploma thesis, Technische Universität München", 1991,
            "https://people.idsia.ch/~juergen/SeppHochreiter1991ThesisAdvisorSchmidhuber.pdf",
        ),
        "Hu2021": Reference(
            "Hu, Shen, Wallis, Allen-Zhu, Li et al.",
            "LoRA: low-rank adaptation of large language models",
            "ICLR", 2022, "arXiv 2106.09685",
        ),
        "Kingma2015": Reference(
            "Kingma, Ba", "Adam: a method for stochastic optimization", "ICLR", 2015, "arXiv 1412.6980",
        ),
        "Lu2019": Reference(
            "Lu, Shin, Su, Karniadakis",
            "Dying ReLU and initialization: theory and numerical examples",
            "Communications in Computational Physics 28(5)", 2020, "arXiv 1903.06733",
        ),
        "Micikevicius2018": Reference(
            "Micikevicius, Narang, Alben, Diamos, Elsen et al.",
            "Mixed precision training", "ICLR", 2018, "arXiv 1710.03740",
        ),
        "Poole2016": Reference(
            "Poole, Lahiri, Raghu, Sohl-Dickstein, Ganguli",
            "Exponential expressivity in deep neural networks through transient chaos",
            "NIPS", 2016, "arXiv 1606.05340",
        ),
        "Schoenholz2017": Reference(
            "Schoenholz, Gilmer, Ganguli, Sohl-Dickstein",
            "Deep information propagation", "ICLR", 2017, "arXiv 1611.01232",
        ),
        "Yang2019": Reference(
            "Yang, Pennington, Rao, Sohl-Dickstein, Schoenholz",
            "A mean field theory of batch normalization", "ICLR", 2019, "arXiv 1902.08129",
        ),
        "You2017": Reference(
            "You, Gitman, Ginsburg",
            "Large batch training of convolutional networks", "preprint", 2017, "arXiv 1708.03888",
        ),
    }
)  # fmt: skip
"""Works by key; a key keeps the year under which the work first became known."""
