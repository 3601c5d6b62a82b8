"""The functions of the nodes: recognise handwritten digits with scikit-learn.

The data set is part of scikit-learn: 1,797 images of 8 by 8 pixels.
"""

# ruff: noqa: PLC0415
# Packages that only the image has are imported in functions, since the host imports this file, too.

import json

import conducto as co

FOLDS = 5
#: ``{model: (the parameter that is tuned, its values)}``
TUNING = {
    "forest": ("max_depth", [6, 12, 24]),
    "neighbours": ("n_neighbors", [1, 3, 9]),
    "support vectors": ("C", [1, 4, 16]),
    "tree": ("max_depth", [6, 9, 12]),
}


def make(model: str):
    """Return an untrained model."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC
    from sklearn.tree import DecisionTreeClassifier

    return {
        "forest": RandomForestClassifier(n_estimators=60, random_state=0),
        "neighbours": KNeighborsClassifier(),
        "support vectors": SVC(),
        "tree": DecisionTreeClassifier(random_state=0),
    }[model]


def load():
    """Return images as rows of 64 numbers, and their digits."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return digits.data, digits.target


def evaluate(model: str, value: int) -> float:
    """Return the mean accuracy of a model in cross-validation; value 0 means the default."""
    from sklearn.model_selection import cross_val_score

    images, digits = load()
    estimator = make(model)
    if value:
        estimator.set_params(**{TUNING[model][0]: value})
    return float(cross_val_score(estimator, images, digits, cv=FOLDS).mean())


def train(model: str, value: int = 0) -> None:
    """Evaluate a model and store its accuracy."""
    accuracy = evaluate(model, value)
    print(f"{model}, {TUNING[model][0]}={value or 'default'}: {accuracy:.4f}")
    result = {"model": model, "value": value, "accuracy": accuracy}
    co.data.pipeline.puts(f"results/{model}-{value}.json", json.dumps(result).encode())


def results() -> list:
    """Return all stored results, best first."""
    names = co.data.pipeline.list("results")
    found = [json.loads(co.data.pipeline.gets(name)) for name in names]
    return sorted(found, key=lambda one: -one["accuracy"])
