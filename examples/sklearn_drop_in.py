"""scikit-learn's perceptron, then chainrule's: one import changes; then what scikit-learn's has no parameters for.

Target: chainrule's accuracy on rows apart is at least scikit-learn's less two points; with dropout, class weights and a
validation part of its own at least 96 %.
"""

import time

from sklearn import neural_network
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from chainrule import sklearn as ours

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.25, random_state=0)

# Before and after ----------------------------------------------------------------------------------------------------

scores = {}
for name, module in (("scikit-learn", neural_network), ("chainrule", ours)):
    network = module.MLPClassifier(hidden_layer_sizes=(64,), max_iter=1000, random_state=0)
    model = make_pipeline(StandardScaler(), network)
    begin = time.perf_counter()
    model.fit(X, y)
    seconds, scores[name] = time.perf_counter() - begin, model.score(X_test, y_test)
    print(f"{name:12} {seconds:6.2f} s, {scores[name]:.1%} right after {network.n_iter_} epochs")
assert scores["chainrule"] >= scores["scikit-learn"] - 0.02

# Beyond --------------------------------------------------------------------------------------------------------------

X, X_val, y, y_val = train_test_split(X / 16, y, test_size=0.2, random_state=0)
model = ours.MLPClassifier(
    hidden_layer_sizes=(128, 64),
    activation=["elu", "relu"],
    dropout=0.3,
    class_weight="balanced",
    early_stopping=True,
    n_iter_no_change=20,
    max_iter=1000,
    random_state=0,
).fit(X, y, X_val=X_val, y_val=y_val)
right = model.score(X_test / 16, y_test)
print(f"with dropout, class weights and a validation part of its own: {right:.1%} after {model.n_iter_} epochs")
assert right >= 0.96
