from cli.simulated import simulated_crowd


def test_a_crowd_as_clients_send_it() -> None:
    crowd = simulated_crowd(seed=7, challenges=50, answers=400)
    batches = list(crowd.batches(9))
    assert len(batches) == 9
    assert [answer for batch in batches for answer in batch] == list(crowd.answers)
    assert {answer["challenge"] for answer in crowd.answers} == set(crowd.truth)
    assert {answer["respondent"] for answer in crowd.answers} <= set(crowd.respondents)
    assert {answer["answer"] for answer in crowd.answers} <= set(crowd.classes)
    assert crowd == simulated_crowd(seed=7, challenges=50, answers=400)


def test_accuracy_counts_what_has_no_verdict_as_wrong() -> None:
    crowd = simulated_crowd(seed=7, challenges=50, answers=400)
    assert crowd.accuracy(dict(crowd.truth)) == 1.0
    assert crowd.accuracy(dict(list(crowd.truth.items())[:25])) == 0.5
    assert crowd.accuracy(dict.fromkeys(crowd.truth)) == 0.0
