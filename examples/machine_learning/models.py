"""The nodes' work: reading handwritten digits with scikit-learn.

The data are the 1,797 images of 8 by 8 pixels that scikit-learn ships.
"""

# ruff: noqa: PLC0415
# What only the image has is imported where it is needed: the host reads this file, too.

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
    """Return images as rows of 64 numbers, and the digits that they show."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return digits.data, digits.target


def evaluate(model: str, value: int) -> float:
    """Return the mean accuracy of a model in cross-validation; 0 leaves its parameter as it is."""
    from sklearn.model_selection import cross_val_score

    images, digits = load()
    estimator = make(model)
    if value:
        estimator.set_params(**{TUNING[model][0]: value})
    return float(cross_val_score(estimator, images, digits, cv=FOLDS).mean())


def train(model: str, value: int = 0) -> None:
    """Evaluate a model and note down how good it is."""
    accuracy = evaluate(model, value)
    print(f"{model}, {TUNING[model][0]}={value or 'default'}: {accuracy:.4f}")
    result = {"model": model, "value": value, "accuracy": accuracy}
    co.data.pipeline.puts(f"results/{model}-{value}.json", json.dumps(result).encode())


def results() -> list:
    """Return what was noted down, the best first."""
    names = co.data.pipeline.list("results")
    found = [json.loads(co.data.pipeline.gets(name)) for name in names]
    return sorted(found, key=lambda one: -one["accuracy"])
