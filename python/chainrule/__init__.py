"""Neural-network training, from the chain rule to the metal.

A network is a row of layers; a `Trainer` fits it, or a loop by hand does. This file lists what is public, and where it
lives; each file is imported when something of it is first asked for, so that `import chainrule` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _engine

if TYPE_CHECKING:
    from .activations import ELU as ELU
    from .activations import ActivationFunction as ActivationFunction
    from .activations import Identity as Identity
    from .activations import LeakyReLU as LeakyReLU
    from .activations import ReLU as ReLU
    from .activations import Sigmoid as Sigmoid
    from .activations import Softmax as Softmax
    from .activations import Step as Step
    from .activations import Tanh as Tanh
    from .augmentation import Augmentation as Augmentation
    from .augmentation import ImageAugmentation as ImageAugmentation
    from .augmentation import NoiseAugmentation as NoiseAugmentation
    from .augmentation import augmented as augmented
    from .bayesian import OptunaPruning as OptunaPruning
    from .callbacks import Callback as Callback
    from .callbacks import EarlyStopping as EarlyStopping
    from .callbacks import ReduceLROnPlateau as ReduceLROnPlateau
    from .comparison import Comparison as Comparison
    from .comparison import compare as compare
    from .comparison import lecture_optimizers as lecture_optimizers
    from .complexity import GradientReport as GradientReport
    from .complexity import WeightReport as WeightReport
    from .complexity import gradient_report as gradient_report
    from .complexity import weight_report as weight_report
    from .constraints import Constraint as Constraint
    from .constraints import MaxNorm as MaxNorm
    from .constraints import NonNegative as NonNegative
    from .constraints import UnitNorm as UnitNorm
    from .cross_validation import CrossValidation as CrossValidation
    from .cross_validation import cross_validate as cross_validate
    from .custom import CustomActivation as CustomActivation
    from .custom import CustomLoss as CustomLoss
    from .custom_layer import CustomLayer as CustomLayer
    from .data import batches as batches
    from .datasets import load_digits as load_digits
    from .datasets import load_idx as load_idx
    from .datasets import read_idx as read_idx
    from .decomposition import BiasVariance as BiasVariance
    from .decomposition import bias_variance as bias_variance
    from .decomposition import decomposed as decomposed
    from .diagnosis import diagnose as diagnose
    from .divergence import DivergenceWarning as DivergenceWarning
    from .ensembles import Ensemble as Ensemble
    from .ensembles import EnsembleSnapshots as EnsembleSnapshots
    from .ensembles import train_ensemble as train_ensemble
    from .experiments import ComplexityCurve as ComplexityCurve
    from .experiments import DataSizeCurve as DataSizeCurve
    from .experiments import complexity_curve as complexity_curve
    from .experiments import data_size_curve as data_size_curve
    from .experiments import one_se_rule as one_se_rule
    from .findings import Diagnosis as Diagnosis
    from .findings import Finding as Finding
    from .first_rates import RateTrials as RateTrials
    from .first_rates import cut_rates as cut_rates
    from .first_rates import try_rates as try_rates
    from .flow_of_errors import error_flow as error_flow
    from .folding import folds as folds
    from .gradients import GradientCheck as GradientCheck
    from .gradients import check_gradients as check_gradients
    from .groups import GroupStandardizer as GroupStandardizer
    from .heads import Head as Head
    from .heads import head_for as head_for
    from .history import History as History
    from .initializers import Constant as Constant
    from .initializers import GlorotNormal as GlorotNormal
    from .initializers import GlorotUniform as GlorotUniform
    from .initializers import HeNormal as HeNormal
    from .initializers import HeUniform as HeUniform
    from .initializers import Initializer as Initializer
    from .initializers import LectureNormal as LectureNormal
    from .initializers import Normal as Normal
    from .initializers import Uniform as Uniform
    from .initializers import Zeros as Zeros
    from .installed import get_cmake_dir as get_cmake_dir
    from .installed import get_include as get_include
    from .installed import native_function as native_function
    from .labels import LabelEncoder as LabelEncoder
    from .layer_units import LayerReport as LayerReport
    from .layer_units import layer_report as layer_report
    from .layers import Activation as Activation
    from .layers import BatchNorm as BatchNorm
    from .layers import Dense as Dense
    from .layers import DropConnect as DropConnect
    from .layers import Dropout as Dropout
    from .layers import GaussianNoise as GaussianNoise
    from .layers import Layer as Layer
    from .layers import Maxout as Maxout
    from .leakage import LeakageWarning as LeakageWarning
    from .loop_guards import ModeWarning as ModeWarning
    from .loop_guards import ZeroGradWarning as ZeroGradWarning
    from .losses import BinaryCrossEntropy as BinaryCrossEntropy
    from .losses import CrossEntropy as CrossEntropy
    from .losses import Huber as Huber
    from .losses import Loss as Loss
    from .losses import MeanAbsoluteError as MeanAbsoluteError
    from .losses import MeanSquaredError as MeanSquaredError
    from .losses import Pinball as Pinball
    from .losses import Poisson as Poisson
    from .lr_policies import DecayRate as DecayRate
    from .lr_policies import IncreaseRate as IncreaseRate
    from .lr_policies import RateDecision as RateDecision
    from .lr_range import RateRange as RateRange
    from .lr_range import lr_range_test as lr_range_test
    from .network import Network as Network
    from .optimizers import SGD as SGD
    from .optimizers import AdaDelta as AdaDelta
    from .optimizers import AdaGrad as AdaGrad
    from .optimizers import Adam as Adam
    from .optimizers import AdamW as AdamW
    from .optimizers import AMSGrad as AMSGrad
    from .optimizers import Momentum as Momentum
    from .optimizers import NAdam as NAdam
    from .optimizers import Optimizer as Optimizer
    from .optimizers import RMSprop as RMSprop
    from .optimizers import Rprop as Rprop
    from .output import LossValue as LossValue
    from .output import Output as Output
    from .penalties import L1 as L1
    from .penalties import L2 as L2
    from .penalties import ElasticNet as ElasticNet
    from .penalties import Lp as Lp
    from .penalties import Penalty as Penalty
    from .placement import PlacementWarning as PlacementWarning
    from .playground import Landscape as Landscape
    from .playground import descend as descend
    from .playground import descent_trajectories as descent_trajectories
    from .recipe import trainer_for as trainer_for
    from .recorders import CSVLogger as CSVLogger
    from .recorders import LambdaCallback as LambdaCallback
    from .recorders import ModelCheckpoint as ModelCheckpoint
    from .recorders import TensorBoard as TensorBoard
    from .scales import DataWarning as DataWarning
    from .schedules import ConstantRate as ConstantRate
    from .schedules import CosineDecay as CosineDecay
    from .schedules import ExponentialDecay as ExponentialDecay
    from .schedules import OneCycle as OneCycle
    from .schedules import Schedule as Schedule
    from .schedules import StepDecay as StepDecay
    from .schedules import TimeDecay as TimeDecay
    from .scores import ClassScores as ClassScores
    from .scores import classification_scores as classification_scores
    from .scores import top_k_accuracy as top_k_accuracy
    from .searching import SearchResult as SearchResult
    from .searching import search as search
    from .shift import ColumnShift as ColumnShift
    from .shift import DistributionShift as DistributionShift
    from .shift import compare_distributions as compare_distributions
    from .snapshots import Snapshots as Snapshots
    from .spaces import Between as Between
    from .spaces import grid_size as grid_size
    from .spaces import search_space as search_space
    from .splits import Split as Split
    from .splits import SplitWarning as SplitWarning
    from .splits import split as split
    from .standardize import Standardize as Standardize
    from .standardize import StandardizeWarning as StandardizeWarning
    from .stopping import ImprovesSlowly as ImprovesSlowly
    from .stopping import Lasts as Lasts
    from .stopping import Reaches as Reaches
    from .stopping import Stagnates as Stagnates
    from .stopping import StoppingRule as StoppingRule
    from .stopping import StopWhen as StopWhen
    from .storage import load as load
    from .tables import Table as Table
    from .tables import read_csv as read_csv
    from .threads import get_num_threads as get_num_threads
    from .threads import set_num_threads as set_num_threads
    from .topology import Growth as Growth
    from .topology import grow as grow
    from .topology import pruned as pruned
    from .topology import with_units as with_units
    from .torch_weights import load_torch_weights as load_torch_weights
    from .tracing import Trace as Trace
    from .tracing import trace as trace
    from .trainer import Trainer as Trainer
    from .transfer_learning import Transferred as Transferred
    from .transfer_learning import layerwise_lr as layerwise_lr
    from .transfer_learning import transfer as transfer
    from .transfer_learning import with_head as with_head
    from .trials import Trial as Trial
    from .versions import show_versions as show_versions

__version__: str = _engine.build_info()["version"]

_PUBLIC = {
    "activations": ["ELU", "ActivationFunction", "Identity", "LeakyReLU", "ReLU", "Sigmoid", "Softmax", "Step", "Tanh"],
    "bayesian": ["OptunaPruning"],
    "augmentation": ["Augmentation", "ImageAugmentation", "NoiseAugmentation", "augmented"],
    "callbacks": ["Callback", "EarlyStopping", "ReduceLROnPlateau"],
    "comparison": ["Comparison", "compare", "lecture_optimizers"],
    "complexity": ["GradientReport", "WeightReport", "gradient_report", "weight_report"],
    "constraints": ["Constraint", "MaxNorm", "NonNegative", "UnitNorm"],
    "cross_validation": ["CrossValidation", "cross_validate"],
    "custom": ["CustomActivation", "CustomLoss"],
    "custom_layer": ["CustomLayer"],
    "data": ["batches"],
    "divergence": ["DivergenceWarning"],
    "ensembles": ["Ensemble", "EnsembleSnapshots", "train_ensemble"],
    "folding": ["folds"],
    "decomposition": ["BiasVariance", "bias_variance", "decomposed"],
    "experiments": ["ComplexityCurve", "DataSizeCurve", "complexity_curve", "data_size_curve", "one_se_rule"],
    "first_rates": ["RateTrials", "cut_rates", "try_rates"],
    "datasets": ["load_digits", "load_idx", "read_idx"],
    "diagnosis": ["diagnose"],
    "flow_of_errors": ["error_flow"],
    "findings": ["Diagnosis", "Finding"],
    "gradients": ["GradientCheck", "check_gradients"],
    "groups": ["GroupStandardizer"],
    "heads": ["Head", "head_for"],
    "history": ["History"],
    "initializers": [
        "Constant",
        "GlorotNormal",
        "GlorotUniform",
        "HeNormal",
        "HeUniform",
        "Initializer",
        "LectureNormal",
        "Normal",
        "Uniform",
        "Zeros",
    ],
    "installed": ["get_cmake_dir", "get_include", "native_function"],
    "labels": ["LabelEncoder"],
    "layer_units": ["LayerReport", "layer_report"],
    "layers": ["Activation", "BatchNorm", "Dense", "DropConnect", "Dropout", "GaussianNoise", "Layer", "Maxout"],
    "leakage": ["LeakageWarning"],
    "loop_guards": ["ModeWarning", "ZeroGradWarning"],
    "losses": [
        "BinaryCrossEntropy",
        "CrossEntropy",
        "Huber",
        "Loss",
        "MeanAbsoluteError",
        "MeanSquaredError",
        "Pinball",
        "Poisson",
    ],
    "lr_policies": ["DecayRate", "IncreaseRate", "RateDecision"],
    "lr_range": ["RateRange", "lr_range_test"],
    "network": ["Network"],
    "optimizers": [
        "AMSGrad",
        "AdaDelta",
        "AdaGrad",
        "Adam",
        "AdamW",
        "Momentum",
        "NAdam",
        "Optimizer",
        "RMSprop",
        "Rprop",
        "SGD",
    ],
    "output": ["LossValue", "Output"],
    "penalties": ["ElasticNet", "L1", "L2", "Lp", "Penalty"],
    "placement": ["PlacementWarning"],
    "playground": ["Landscape", "descend", "descent_trajectories"],
    "recipe": ["trainer_for"],
    "recorders": ["CSVLogger", "LambdaCallback", "ModelCheckpoint", "TensorBoard"],
    "scales": ["DataWarning"],
    "schedules": ["ConstantRate", "CosineDecay", "ExponentialDecay", "OneCycle", "Schedule", "StepDecay", "TimeDecay"],
    "scores": ["ClassScores", "classification_scores", "top_k_accuracy"],
    "snapshots": ["Snapshots"],
    "searching": ["SearchResult", "search"],
    "spaces": ["Between", "grid_size", "search_space"],
    "shift": ["ColumnShift", "DistributionShift", "compare_distributions"],
    "splits": ["Split", "SplitWarning", "split"],
    "standardize": ["Standardize", "StandardizeWarning"],
    "stopping": ["ImprovesSlowly", "Lasts", "Reaches", "Stagnates", "StopWhen", "StoppingRule"],
    "storage": ["load"],
    "tables": ["Table", "read_csv"],
    "threads": ["get_num_threads", "set_num_threads"],
    "topology": ["Growth", "grow", "pruned", "with_units"],
    "torch_weights": ["load_torch_weights"],
    "tracing": ["Trace", "trace"],
    "trainer": ["Trainer"],
    "trials": ["Trial"],
    "transfer_learning": ["Transferred", "layerwise_lr", "transfer", "with_head"],
    "versions": ["show_versions"],
}
_HOME = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = ["__version__", *_HOME]


if not TYPE_CHECKING:  # type checkers would take any misspelt name for one that this finds

    def __getattr__(name: str) -> object:
        """Import a public name, or a submodule such as `chainrule.plots`, when it is first asked for."""
        import importlib

        if name in _HOME:
            found = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
            globals()[name] = found
            return found
        if not name.startswith("_"):
            try:
                return importlib.import_module(f".{name}", __name__)
            except ModuleNotFoundError as error:
                if error.name != f"{__name__}.{name}":
                    raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List what is public."""
    return sorted(__all__)
