"""Producers: the pump, the pace, the bookmark, the plan; no broker needed."""
