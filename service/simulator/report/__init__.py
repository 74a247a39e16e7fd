"""A verdict for people: one page for the whole world, and one for each patient with everything that happened to them."""

from service.simulator.report.writing import write_report

__all__ = ["write_report"]
