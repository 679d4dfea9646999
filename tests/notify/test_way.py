from __future__ import annotations

from sentinel.notify import Delivery


def test_a_delivery_is_a_sentence():
    assert str(Delivery(shown=True, by="desktop (notify-send)")) == "shown by desktop (notify-send)"
    assert str(Delivery(shown=False, why="too many at once")) == "not delivered: too many at once"
