"""Optimizers that divide each gradient by its size so far: AdaGrad, AdaDelta, RMSprop, Rprop, Adam and its kin.

g is the gradient of one weight w, t the number of the step from 1; memories start at 0. `eps` keeps a division finite;
libraries and papers put it behind the root, lecture [002] inside. What all optimizers share is in `descent.py`.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar

from . import checks
from .descent import Optimizer
from .schedules import Rate

if TYPE_CHECKING:
    from ._engine.float32 import Optimizer as CoreOptimizer


def check_decays(optimizer: Optimizer, *names: str) -> None:
    """Check options that are decays of running means: at least 0 and below 1."""
    for name in names:
        checks.option(optimizer, name, checks.number, least=0, below=1)


def check_reading(optimizer: Optimizer, *flags: str) -> None:
    """Check the option `eps`, above 0, and those that are True or False."""
    checks.option(optimizer, "eps", checks.number, above=0)
    for name in flags:
        checks.option(optimizer, name, checks.flag)


def with_eps(rule: str, inside: bool) -> str:
    """Return the engine's name of a rule that has eps inside the root, or outside."""
    return f"{rule}_epsilon_inside" if inside else rule


@dataclass(frozen=True, repr=False)
class AdaGrad(Optimizer):
    """AdaGrad (Duchi et al. 2011; named in [001], [003]): every squared gradient counts forever.

    ::

        s <- s + g^2        w <- w - lr g / (sqrt(s) + eps)

    The first step of each weight is lr long, whatever its gradient.

    Parameters
    ----------
    lr : float, Schedule or callable, default 0.01
        Learning rate.
    eps : float, default 1e-10
        Above 0.
    eps_inside_sqrt : bool, default False
        True: g / sqrt(s + eps).
    layer_lr, clip_norm, clip_value : optional
        Of every optimizer, see `Optimizer`.
    """

    word = "adagrad"
    _: KW_ONLY
    eps: float = 1e-10
    eps_inside_sqrt: bool = False

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        check_reading(self, "eps_inside_sqrt")

    def build(self, engine: ModuleType) -> CoreOptimizer:
        """Return an engine's object of the rule alone, with no state yet."""
        return self._of_rule(engine, with_eps("adagrad", self.eps_inside_sqrt), eps=self.eps)


@dataclass(frozen=True, repr=False)
class AdaDelta(Optimizer):
    """AdaDelta (Zeiler 2012; named in [001], [003]): steps in the unit of the weights, by running means.

    ::

        s <- rho s + (1 - rho) g^2      d = sqrt(u + eps) / sqrt(s + eps) g
        u <- rho u + (1 - rho) d^2      w <- w - lr d

    The paper has no learning rate: that is lr = 1. The first steps are short, about sqrt(eps / (1 - rho)).

    Parameters
    ----------
    lr : float, Schedule or callable, default 1.0
        Learning rate.
    rho : float, default 0.9
        Decay of both means, at least 0 and below 1.
    eps : float, default 1e-6
        Above 0; it also decides how long the first steps are.
    layer_lr, clip_norm, clip_value : optional
        Of every optimizer, see `Optimizer`.
    """

    word = "adadelta"
    lr: Rate = 1.0
    _: KW_ONLY
    rho: float = 0.9
    eps: float = 1e-6

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        check_decays(self, "rho")
        check_reading(self)

    def build(self, engine: ModuleType) -> CoreOptimizer:
        """Return an engine's object of the rule alone, with no state yet."""
        return self._of_rule(engine, "adadelta", beta2=self.rho, eps=self.eps)


@dataclass(frozen=True, repr=False)
class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton 2012): the gradient over the root of a running mean of its squares.

    ::

        s <- beta s + (1 - beta) g^2        w <- w - lr g / (sqrt(s') + eps)

    ========================  =================================  ==================================================
    option                    reading                            source
    ========================  =================================  ==================================================
    bias_correction=False     s' = s                             Hinton's lecture; [002]; PyTorch, Keras
    bias_correction=True      s' = s / (1 - beta^t)              as in Adam
    eps_inside_sqrt=False     g / (sqrt(s') + eps)               PyTorch
    eps_inside_sqrt=True      g / sqrt(s' + eps)                 [002]; Keras
    lr=0.001, beta=0.9        the defaults                       Hinton's lecture (beta); Keras
    lr=0.01, beta=0.99                                           PyTorch's defaults
    eps=1e-8                  the default                        PyTorch; [002]. Keras has 1e-7
    ========================  =================================  ==================================================

    Without bias correction s is too small at first, and the first step is 1 / sqrt(1 - beta) times lr: 3.16 lr at beta
    0.9, and 31.6 lr at lecture [002]'s 0.999.

    Parameters
    ----------
    lr : float, Schedule or callable, default 0.001
        Learning rate.
    beta : float, default 0.9
        Decay of the mean, at least 0 and below 1.
    eps : float, default 1e-8
        Above 0.
    eps_inside_sqrt, bias_correction : bool, default False
        The reading.
    layer_lr, clip_norm, clip_value : optional
        Of every optimizer, see `Optimizer`.
    """

    word = "rmsprop"
    lr: Rate = 0.001
    _: KW_ONLY
    beta: float = 0.9
    eps: float = 1e-8
    eps_inside_sqrt: bool = False
    bias_correction: bool = False

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        check_decays(self, "beta")
        check_reading(self, "eps_inside_sqrt", "bias_correction")

    @classmethod
    def lecture(cls, lr: Rate) -> RMSprop:
        """Return RMSprop as [002] writes it: beta 0.999, 1e-8 inside the root. The first step is 31.6 lr.

        Parameters
        ----------
        lr : float, Schedule or callable
            The learning rate, as for the class.

        Returns
        -------
        RMSprop
            With the options that the lecture means.
        """
        return cls(lr, beta=0.999, eps=1e-8, eps_inside_sqrt=True)

    def build(self, engine: ModuleType) -> CoreOptimizer:
        """Return an engine's object of the rule alone, with no state yet."""
        rule = with_eps("rmsprop", self.eps_inside_sqrt)
        return self._of_rule(engine, rule, beta2=self.beta, eps=self.eps, bias_correction=self.bias_correction)


@dataclass(frozen=True, repr=False)
class Rprop(Optimizer):
    """Resilient propagation: a step size d for each weight; of the gradient only the sign counts.

    ::

        d <- grow d,   at most `most`        where g has the sign that it had in the step before
        d <- shrink d, at least `least`      where it has changed; w then rests in this step, and d in the next one
        w <- w - sign(g) d

    d starts at lr. Source: Riedmiller and Braun 1993, in the form iRprop- of Igel and Huesken 2000, which PyTorch has
    too. Lecture [003] names "RPSProp", which may mean this or `RMSprop`. It is for batch descent: in small batches
    signs change by chance. `clip_norm` and `clip_value` do nothing here: they change no sign.

    Parameters
    ----------
    lr : float, Schedule or callable, default 0.01
        The first step size. With a schedule the step sizes are multiples of the rate, and follow it.
    shrink, grow : float, default 0.5 and 1.2
        Factors of the step sizes: above 0 and below 1, and above 1.
    least, most : float, default 1e-6 and 50.0
        Bounds of the step sizes: at least 0, and not below `least`.
    layer_lr, clip_norm, clip_value : optional
        Of every optimizer, see `Optimizer`.
    """

    word = "rprop"
    _: KW_ONLY
    shrink: float = 0.5
    grow: float = 1.2
    least: float = 1e-6
    most: float = 50.0

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        checks.option(self, "shrink", checks.number, above=0, below=1)
        checks.option(self, "grow", checks.number, above=1)
        checks.option(self, "most", checks.number, above=0)
        checks.option(self, "least", checks.number, least=0, most=self.most)

    def build(self, engine: ModuleType) -> CoreOptimizer:
        """Return an engine's object of the rule alone, with no state yet."""
        built: CoreOptimizer = engine.Rprop(self.first_rate(), self.shrink, self.grow, self.least, self.most)
        return built


# Adam and its kin -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Adam(Optimizer):
    """Adam (Kingma and Ba 2015; [001], [002], [003]): momentum, over the root of a mean of squared gradients.

    ::

        v <- beta1 v + (1 - beta1) g        s <- beta2 s + (1 - beta2) g^2
        w <- w - lr v' / (sqrt(s') + eps)   v' = v / (1 - beta1^t),  s' = s / (1 - beta2^t)

    ========================  =================================  ==================================================
    option                    reading                            source
    ========================  =================================  ==================================================
    bias_correction=True      v' and s' as above                 the paper; PyTorch, Keras
    bias_correction=False     v' = v and s' = s                  [002]
    eps_inside_sqrt=False     v' / (sqrt(s') + eps)              the paper; PyTorch
    eps_inside_sqrt=True      v' / sqrt(s' + eps)                [002]
    ========================  =================================  ==================================================

    Keras takes eps = 1e-7, and adds it to the root of the s that is not corrected: its eps is larger at first, by
    1 / sqrt(1 - beta2^t). That reading is not here.

    The first step is lr long; without bias correction (1 - beta1) / sqrt(1 - beta2) times that, 3.16 lr by default.

    Parameters
    ----------
    lr : float, Schedule or callable, default 0.001
        Learning rate.
    beta1, beta2 : float, default 0.9 and 0.999
        Decays of the two memories, at least 0 and below 1.
    eps : float, default 1e-8
        Above 0.
    bias_correction : bool, default True
        Whether v and s are divided by 1 - beta^t, since they start at 0.
    eps_inside_sqrt : bool, default False
        The reading.
    layer_lr, clip_norm, clip_value : optional
        Of every optimizer, see `Optimizer`.
    """

    word = "adam"
    _rule: ClassVar[str] = "adam"
    lr: Rate = 0.001
    _: KW_ONLY
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    bias_correction: bool = True
    eps_inside_sqrt: bool = False

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        check_decays(self, "beta1", "beta2")
        check_reading(self, "bias_correction", "eps_inside_sqrt")

    @classmethod
    def lecture(cls, lr: Rate) -> Adam:
        """Return Adam as [002] writes it: no bias correction, eps inside the root. The first step is 3.16 lr.

        Parameters
        ----------
        lr : float, Schedule or callable
            The learning rate, as for the class.

        Returns
        -------
        Adam
            With the options that the lecture means.
        """
        return cls(lr, bias_correction=False, eps_inside_sqrt=True)

    def build(self, engine: ModuleType) -> CoreOptimizer:
        """Return an engine's object of the rule alone, with no state yet."""
        numbers = {"beta1": self.beta1, "beta2": self.beta2, "eps": self.eps}
        rule = with_eps(self._rule, self.eps_inside_sqrt)
        return self._of_rule(engine, rule, **numbers, bias_correction=self.bias_correction)


@dataclass(frozen=True, repr=False)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019): w <- w - lr weight_decay w, then Adam's step.

    The decay does not pass through Adam's division, as that of the penalty `L2` does. It is no part of the loss.

    ====================  ==========================================================  ================================
    decay_biases          what decays                                                 source
    ====================  ==========================================================  ================================
    False                 weights alone                                               usual practice
    True                  biases, and scale and shift of a normalization, too         PyTorch's and Keras's default
    ====================  ==========================================================  ================================

    With the same numbers it is therefore PyTorch's AdamW only with decay_biases=True.

    Parameters
    ----------
    lr : float, Schedule or callable, default 0.001
        Learning rate; the decay follows it, also by layer.
    beta1, beta2, eps, bias_correction, eps_inside_sqrt : as for `Adam`
        Means, their decay and their root.
    weight_decay : float, default 0.01
        At least 0.
    decay_biases : bool, default False
        What decays, as above.
    layer_lr, clip_norm, clip_value : optional
        Of every optimizer, see `Optimizer`.
    """

    word = "adamw"
    _: KW_ONLY
    weight_decay: float = 0.01
    decay_biases: bool = False

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        checks.option(self, "weight_decay", checks.number, least=0)
        checks.option(self, "decay_biases", checks.flag)

    def decoupled_decay(self) -> tuple[float, bool]:
        """Return the decoupled decay, and whether all that is learned decays, not the weights alone."""
        return self.weight_decay, self.decay_biases


@dataclass(frozen=True, repr=False)
class NAdam(Adam):
    """Adam that looks ahead as Nesterov's momentum does (Dozat 2016), with the numbers of PyTorch.

    ::

        m_t = beta1 (1 - 0.96^(momentum_decay t) / 2)       P_t = m_1 m_2 ... m_t
        w <- w - lr (m_(t+1) v / (1 - P_(t+1)) + (1 - m_t) g / (1 - P_t)) / (sqrt(s') + eps)

    v, s and s' as Adam's. Without bias correction 1 - P and 1 - beta2^t are taken as 1.

    Parameters
    ----------
    lr : float, Schedule or callable, default 0.002
        Learning rate.
    beta1, beta2, eps, bias_correction, eps_inside_sqrt : as for `Adam`
        Means, their decay and their root.
    momentum_decay : float, default 0.004
        How fast m_t rises to beta1; at least 0.
    layer_lr, clip_norm, clip_value : optional
        Of every optimizer, see `Optimizer`.
    """

    word = "nadam"
    lr: Rate = 0.002
    _: KW_ONLY
    momentum_decay: float = 0.004

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        checks.option(self, "momentum_decay", checks.number, least=0)

    def build(self, engine: ModuleType) -> CoreOptimizer:
        """Return an engine's object of the rule alone, with no state yet."""
        built: CoreOptimizer = engine.NAdam(
            self.first_rate(),
            self.beta1,
            self.beta2,
            self.eps,
            self.momentum_decay,
            self.bias_correction,
            self.eps_inside_sqrt,
        )
        return built


@dataclass(frozen=True, repr=False)
class AMSGrad(Adam):
    """Adam that divides by the greatest mean so far (Reddi et al. 2018): no step grows because gradients got small.

    ::

        S <- max(S, s)        w <- w - lr v' / (sqrt(S / (1 - beta2^t)) + eps)

    v, s and v' as Adam's; the greatest is taken before bias correction, as PyTorch does. (Keras does too, with its own
    eps: see `Adam`.)

    Parameters
    ----------
    lr : float, Schedule or callable, default 0.001
        Learning rate.
    beta1, beta2, eps, bias_correction, eps_inside_sqrt : as for `Adam`
        Means, their decay and their root.
    layer_lr, clip_norm, clip_value : optional
        Of every optimizer, see `Optimizer`.
    """

    word = "amsgrad"
    _rule = "amsgrad"
