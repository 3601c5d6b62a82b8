# ruff: noqa: PT009, PT027
# The image has no pytest, only Python's own unittest.

import os
import unittest

from stock import SoldOutError, Stock


class Orders(unittest.TestCase):
    def setUp(self):
        self.stock = Stock(os.environ["DATABASE"])
        self.addCleanup(self.stock.close)

    def test_order_reduces_the_stock(self):
        before = self.stock.pieces("lamp")

        self.stock.order("lamp", 2)

        self.assertEqual(self.stock.pieces("lamp"), before - 2)

    def test_sold_out_goods_cannot_be_ordered(self):
        with self.assertRaises(SoldOutError):
            self.stock.order("radio", 1)
