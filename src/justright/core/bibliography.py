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
from types import MappingProxyType

from justright.core.references import INITIALIZATION, Reference

__all__ = ["BIBLIOGRAPHY", "Reference", "cited"]

CITATION = re.compile(r"\[([A-Z][A-Za-z]+(?:19|20)\d\d[a-z]?)\]")
"""How a docstring cites: a name and a year in square brackets."""


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
        "Bengio2012": Reference(
            "Bengio",
            "Practical recommendations for gradient-based training of deep architectures",
            "Neural Networks: Tricks of the Trade", 2012, "arXiv 1206.5533",
        ),
        "Bengio2013": Reference(
            "Bengio, Léonard, Courville",
            "Estimating or propagating gradients through stochastic neurons for conditional computation",
            "preprint", 2013, "arXiv 1308.3432",
        ),
        "Bridle1990": Reference(
            "Bridle",
            "Probabilistic interpretation of feedforward classification network outputs, with relationships to "
            "statistical pattern recognition",
            "Neurocomputing: algorithms, architectures and applications (NATO ASI F68)", 1990,
            "doi 10.1007/978-3-642-76153-9_28",
        ),
        "Cohen2021": Reference(
            "Cohen, Kaur, Li, Kolter, Talwalkar",
            "Gradient descent on neural networks typically occurs at the edge of stability",
            "ICLR", 2021, "arXiv 2103.00065",
        ),
        "De2020": Reference(
            "De, Smith",
            "Batch normalization biases residual blocks towards the identity function in deep networks",
            "NeurIPS", 2020, "arXiv 2002.10444",
        ),
        "Dong2021": Reference(
            "Dong, Cordonnier, Loukas",
            "Attention is not all you need: pure attention loses rank doubly exponentially with depth",
            "ICML", 2021, "arXiv 2103.03404",
        ),
        "Edelman1988": Reference(
            "Edelman", "Eigenvalues and condition numbers of random matrices",
            "SIAM Journal on Matrix Analysis and Applications 9(4)", 1988, "doi 10.1137/0609045",
        ),
        "Fedus2022": Reference(
            "Fedus, Zoph, Shazeer",
            "Switch transformers: scaling to trillion parameter models with simple and efficient sparsity",
            "JMLR", 2022, "arXiv 2101.03961",
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
        "Gupta2015": Reference(
            "Gupta, Agrawal, Gopalakrishnan, Narayanan",
            "Deep learning with limited numerical precision", "ICML", 2015, "arXiv 1502.02551",
        ),
        "Hanin2018": Reference(
            "Hanin, Nica",
            "Products of many large random matrices and gradients in deep neural networks",
            "Communications in Mathematical Physics 376", 2020, "arXiv 1812.05994",
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
        "He2016": Reference(
            "He, Zhang, Ren, Sun", "Deep residual learning for image recognition", "CVPR", 2016, "arXiv 1512.03385",
        ),
        "Hendrycks2016": Reference(
            "Hendrycks, Gimpel",
            "Adjusting for dropout variance in batch normalization and weight initialization",
            "preprint", 2016, "arXiv 1607.02488",
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
        "Johnson1994": Reference(
            "Johnson, Kotz, Balakrishnan",
            "Continuous univariate distributions, volume 1", "Wiley", 1994, "ISBN 0-471-58495-9",
        ),
        "Kingma2015": Reference(
            "Kingma, Ba", "Adam: a method for stochastic optimization", "ICLR", 2015, "arXiv 1412.6980",
        ),
        "Klambauer2017": Reference(
            "Klambauer, Unterthiner, Mayr, Hochreiter",
            "Self-normalizing neural networks", "NIPS", 2017, "arXiv 1706.02515",
        ),
        "LeCun1998": Reference(
            "LeCun, Bottou, Orr, Müller",
            "Efficient backprop", "Neural networks: tricks of the trade (LNCS 1524)", 1998,
            "doi 10.1007/3-540-49430-8_2",
        ),
        "Lewkowycz2020": Reference(
            "Lewkowycz, Bahri, Dyer, Sohl-Dickstein, Gur-Ari",
            "The large learning rate phase of deep learning: the catapult mechanism",
            "preprint", 2020, "arXiv 2003.02218",
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
        "Newman1986": Reference(
            "Newman", "The distribution of Lyapunov exponents: exact results for random matrices",
            "Communications in Mathematical Physics 103", 1986, "doi 10.1007/BF01464284",
        ),
        "Noci2022": Reference(
            "Noci, Anagnostidis, Biggio, Orvieto, Singh, Lucchi",
            "Signal propagation in transformers: theoretical perspectives and the role of rank collapse",
            "NeurIPS", 2022, "arXiv 2206.03126",
        ),
        "Oono2020": Reference(
            "Oono, Suzuki",
            "Graph neural networks exponentially lose expressive power for node classification",
            "ICLR", 2020, "arXiv 1905.10947",
        ),
        "Pennington2018": Reference(
            "Pennington, Schoenholz, Ganguli", "The emergence of spectral universality in deep networks",
            "AISTATS", 2018, "arXiv 1802.09979",
        ),
        "Polyak1987": Reference(
            "Polyak", "Introduction to optimization", "Optimization Software, New York", 1987, "ISBN 0-911575-14-6",
        ),
        "Poole2016": Reference(
            "Poole, Lahiri, Raghu, Sohl-Dickstein, Ganguli",
            "Exponential expressivity in deep neural networks through transient chaos",
            "NIPS", 2016, "arXiv 1606.05340",
        ),
        "Press2017": Reference(
            "Press, Wolf", "Using the output embedding to improve language models", "EACL", 2017, "arXiv 1608.05859",
        ),
        "Radford2019": Reference(
            "Radford, Wu, Child, Luan, Amodei et al.",
            "Language models are unsupervised multitask learners",
            "OpenAI",
            2019,
            "https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf",
        ),
        "Schoenholz2017": Reference(
            "Schoenholz, Gilmer, Ganguli, Sohl-Dickstein",
            "Deep information propagation", "ICLR", 2017, "arXiv 1611.01232",
        ),
        "Touvron2023": Reference(
            "Touvron, Lavril, Izacard, Martinet, Lachaux et al.",
            "LLaMA: open and efficient foundation language models", "preprint", 2023, "arXiv 2302.13971",
        ),
        "Vaswani2017": Reference(
            "Vaswani, Shazeer, Parmar, Uszkoreit, Jones et al.",
            "Attention is all you need",
            "NeurIPS", 2017, "arXiv 1706.03762",
        ),
        "Yang2019": Reference(
            "Yang, Pennington, Rao, Sohl-Dickstein, Schoenholz",
            "A mean field theory of batch normalization", "ICLR", 2019, "arXiv 1902.08129",
        ),
        "You2017": Reference(
            "You, Gitman, Ginsburg",
            "Large batch training of convolutional networks", "preprint", 2017, "arXiv 1708.03888",
        ),
        "Zamirai2020": Reference(
            "Zamirai, Zhang, Aberger, De Sa",
            "Revisiting BFloat16 training", "preprint", 2020, "arXiv 2010.06192",
        ),
        "Zhai2023": Reference(
            "Zhai, Likhomanenko, Littwin, Busbridge, Ramapuram et al.",
            "Stabilizing transformer training by preventing attention entropy collapse",
            "ICML", 2023, "arXiv 2303.06296",
        ),
        "Zhang2019": Reference(
            "Zhang, Dauphin, Ma",
            "Fixup initialization: residual learning without normalization", "ICLR", 2019, "arXiv 1901.09321",
        ),
        **INITIALIZATION,
    }
)  # fmt: skip
"""Works by key; a key keeps the year under which the work first became known."""
