"""Writes tests/fixtures/metrics.json: classification metrics as scikit-learn computes them.

Made with scikit-learn 1.9.1 and numpy (pip install scikit-learn==1.9.1):

    python tests/generate/metrics.py

Logits are multiples of 1/8, so that some are equal and all are exact in single precision. Where logits of one image are equal, the first
class counts as the likelier one, which scikit-learn is told by adding a little less to each further class.
"""

import json
import pathlib

import numpy as np
import sklearn
from sklearn import metrics

random = np.random.default_rng(7)


def case(name, shares, images, absent=(), signal=1.5):
    """Logits with some signal, for classes of these shares."""
    classes = len(shares)
    labels = random.choice(classes, size=images, p=np.array(shares) / sum(shares))
    labels[np.isin(labels, absent)] = 0
    logits = random.normal(size=(images, classes)) + signal * np.eye(classes)[labels]
    logits = np.round(logits * 8) / 8
    broken_ties = logits - 1e-6 * np.arange(classes)
    predicted = broken_ties.argmax(1)
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    probabilities = exponentials / exponentials.sum(1, keepdims=True)
    every = list(range(classes))
    # Divisions by zero are undefined for us and counted as 0 here; the test knows which they are.
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        labels, predicted, labels=every, zero_division=0
    )
    # scikit-learn has no such score for two classes, nor for k equal to the number of classes.
    ks = range(1, min(classes, 11)) if classes > 2 else []
    top = {str(k): metrics.top_k_accuracy_score(labels, broken_ties, k=k, labels=every) for k in ks}
    return {
        "name": name,
        "logits": logits.tolist(),
        "labels": labels.tolist(),
        "accuracy": metrics.accuracy_score(labels, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(labels, predicted),
        "macro_f1": metrics.f1_score(labels, predicted, average="macro"),
        "mcc": metrics.matthews_corrcoef(labels, predicted),
        "ece": calibration_error(labels, predicted, probabilities),
        "loss": metrics.log_loss(labels, probabilities, labels=every),
        "auroc": metrics.roc_auc_score(labels, logits[:, 1] - logits[:, 0]) if classes == 2 else None,
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "f1": f1.tolist(),
        "support": support.tolist(),
        "average_precision": [average_precision(labels == c, probabilities[:, c]) for c in every],
        "precision_recall": [precision_recall(labels == c, probabilities[:, c]) for c in every],
        "confusion_matrix": metrics.confusion_matrix(labels, predicted, labels=every).tolist(),
        "top": top,
    }


def average_precision(of_class, scores):
    """None without images of the class, where scikit-learn warns and gives 0."""
    if not of_class.any():
        return None
    score = metrics.average_precision_score(of_class, scores)
    # Scores that differ by rounding only would be equal in another program.
    assert score == metrics.average_precision_score(of_class, scores.round(13))
    return score


def precision_recall(of_class, scores):
    """Precisions and recalls from the largest score to the smallest, without scikit-learn's last point, (1, 0)."""
    if not of_class.any():
        return None
    precision, recall, _ = metrics.precision_recall_curve(of_class, scores)
    return [precision[-2::-1].tolist(), recall[-2::-1].tolist()]


def calibration_error(labels, predicted, probabilities, bins=15):
    """By numpy: scikit-learn has no such score."""
    confidence = probabilities.max(1)
    bin_of = np.digitize(confidence, np.linspace(0, 1, bins + 1)[1:-1], right=True)
    return sum(
        abs((predicted == labels)[bin_of == b].mean() - confidence[bin_of == b].mean()) * (bin_of == b).mean()
        for b in np.unique(bin_of)
    )


def main():
    cases = [
        case("two classes, ten to one", [10, 1], 110),
        case("two classes, hardly any signal", [3, 1], 40, signal=0.1),
        case("five classes, one without images", [5, 4, 3, 2, 1], 60, absent=(3,)),
        case("twelve classes", [1] * 12, 120),
    ]
    stored = {"made by": "tests/generate/metrics.py", "scikit-learn": sklearn.__version__, "cases": cases}
    path = pathlib.Path(__file__).parent.parent / "fixtures" / "metrics.json"
    path.write_text(json.dumps(stored, separators=(",", ":")) + "\n")
    print(path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
