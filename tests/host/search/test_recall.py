from hytnas_host.search.recall import Recall


def test_it_asks_once_and_forgets_beyond_its_limit():
    asked = []

    def answer(questions):
        asked.append(questions)
        return [-each for each in questions]

    recall = Recall(answer, limit=3)
    assert recall([2, 1, 2]) == [-2, -1, -2]
    assert recall([1, 3]) == [-1, -3]
    assert asked == [[2, 1], [3]]
    assert recall([3, 4]) == [-3, -4]
    assert asked[2:] == [[3, 4]]
    assert len(recall) == 2
    assert recall([]) == []
