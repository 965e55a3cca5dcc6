"""The losses as a reader would write them: loops over queries, autograd for gradients, any precision."""

import torch
from torch.nn.functional import normalize


def own_passages(step, q):
    """The passages of one query, by counting from its target to the next."""
    ends = [*step.targets.tolist()[1:], len(step.texts)]
    return list(range(step.targets[q], ends[q]))


def is_alone(step, q):
    """Whether query q is contrasted with its own passages alone."""
    return step.alone is not None and bool(step.alone[q])


def says_the_same(step, q, p):
    """Whether passage p repeats the positive or the query, or answers another query of the same words."""
    texts, queries, targets = step.texts.tolist(), step.query_texts.tolist(), step.targets.tolist()
    answers = [j for j, target in enumerate(targets) if target == p and queries[j] == queries[q]]
    return bool(answers) or texts[p] in (texts[targets[q]], queries[q])


def cross_entropy_of(cosines, target, others, temperature):
    """-log of the share of the target among itself and others."""
    return torch.logsumexp(cosines[[target, *others]] / temperature, dim=0) - cosines[target] / temperature


def loss_of_a_query(embeddings, step, settings, q, guide):
    """Its cross-entropy among the passages that it has to beat."""
    Q, target = len(step.query_texts), int(step.targets[q])
    cosines, others = embeddings[Q:] @ embeddings[q], []
    for p in own_passages(step, q) if is_alone(step, q) else range(len(step.texts)):
        above = settings.margin < 2 and cosines[p] > cosines[target] + settings.margin
        better = guide is not None and guide[q] @ guide[Q + p] > guide[q] @ guide[Q + target]
        if p != target and not (says_the_same(step, q, p) or above or better):
            others.append(p)
    return cross_entropy_of(cosines, target, others, settings.temperature)


def loss_of_a_positive(embeddings, step, settings, q, guide):
    """Its cross-entropy among the queries, of which query q asked for it."""
    Q, targets = len(step.query_texts), step.targets.tolist()
    asked, texts = step.query_texts.tolist(), [step.texts.tolist()[target] for target in targets]
    cosines, others = embeddings[:Q] @ embeddings[Q + targets[q]], []
    for j in range(Q):
        same = asked[j] in (asked[q], texts[q]) or texts[j] == texts[q]
        above = settings.margin < 2 and cosines[j] > cosines[q] + settings.margin
        answer = None if guide is None else guide[Q + targets[q]]
        better = guide is not None and answer @ guide[j] > answer @ guide[q]
        if j != q and not (is_alone(step, q) or same or above or better):
            others.append(j)
    return cross_entropy_of(cosines, q, others, settings.temperature)


def obvious_contrast(embeddings, step, settings, guide=None):
    """Mean over queries; `both_ways` averaged with the mean over positives."""
    ways = [loss_of_a_query, loss_of_a_positive] if settings.both_ways else [loss_of_a_query]
    queries = range(len(step.query_texts))
    means = [torch.stack([way(embeddings, step, settings, q, guide) for q in queries]).mean() for way in ways]
    return sum(means) / len(means)


def obvious_divergence(embeddings, step, settings, teacher=None):
    """Mean over queries of KL(teacher ‖ student), summed passage by passage."""
    Q = len(step.query_texts)
    queries, passages, total = embeddings[:Q], embeddings[Q:], 0.0
    for q in range(Q):
        everywhere = settings.distilled == "batch" and not is_alone(step, q)
        compared = list(range(len(step.texts))) if everywhere else own_passages(step, q)
        said = step.scores[compared] if teacher is None else teacher[Q:][compared] @ teacher[q]
        wanted = torch.softmax(said.to(embeddings.dtype) / settings.teacher_temperature, dim=0)
        found = torch.log_softmax(passages[compared] @ queries[q] / settings.temperature, dim=0)
        total = total + sum(w * (w.log() - f) for w, f in zip(wanted, found, strict=True) if w > 0)
    return total / Q


def obvious_loss(embeddings, step, settings, guide=None, teacher=None):
    """Both parts, weighted, over all widths."""
    widths = settings.weighted_widths or {embeddings.shape[1]: 1.0}
    total = 0.0
    for width, weight in widths.items():
        cut = normalize(embeddings[:, :width], dim=1)
        loss = (1 - settings.distillation) * obvious_contrast(cut, step, settings, guide)
        if settings.distillation:
            loss = loss + settings.distillation * obvious_divergence(cut, step, settings, teacher)
        total = total + weight * loss
    return total / sum(widths.values())
