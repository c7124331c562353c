"""A pipeline of scikit-learn, tuned by its random search: columns of two kinds, and what to search for in the network.

Target: R^2 of made-up prices of houses on rows apart is at least 0.95.
"""

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import RandomizedSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from chainrule.sklearn import MLPRegressor

rng = np.random.default_rng(0)
area, age, quarter = rng.uniform(30, 200, 600), rng.uniform(0, 90, 600), rng.integers(0, 5, 600)
price = area * (3 + np.sin(quarter)) * np.exp(-age / 120) + rng.normal(0, 15, 600)
X, y = np.column_stack([area, age, quarter]), (price - price.mean()) / price.std()
X, X_test, y, y_test = train_test_split(X, y, test_size=0.25, random_state=0)

columns = ColumnTransformer(
    [("numbers", StandardScaler(), [0, 1]), ("words", OneHotEncoder(), [2])], sparse_threshold=0
)
network = MLPRegressor(random_state=0, max_iter=1000, tol=1e-3)
choices = {
    "network__hidden_layer_sizes": [(16,), (64,), (32, 32)],
    "network__activation": ["relu", "tanh", "elu"],
    "network__dropout": [0.0, 0.1],
    "network__learning_rate_init": [0.003, 0.01, 0.03],
}
pipeline = Pipeline([("columns", columns), ("network", network)])
search = RandomizedSearchCV(pipeline, choices, n_iter=8, cv=3, random_state=0).fit(X, y)
score = search.score(X_test, y_test)
print(f"R^2 {score:.3f} with {search.best_params_}")
assert score >= 0.95
