"""Arithmetic as text: equations of numbers, whose answers are correct or not."""

from framework.tasks.arithmetic.data import EquationData, Square
from framework.tasks.arithmetic.digits import Multiplication
from framework.tasks.arithmetic.module import EquationModel
from framework.tasks.arithmetic.products import ProductData
from framework.tasks.arithmetic.sources import Equation, LinearEquation, ModularAddition

__all__ = [
    "Equation",
    "EquationData",
    "EquationModel",
    "LinearEquation",
    "ModularAddition",
    "Multiplication",
    "ProductData",
    "Square",
]
