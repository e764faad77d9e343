"""Boards as code: panels and boards in Python, the dashboards as committed JSON, push and check.

This room knows names only: topics, the KPI catalogue and the declared signals (``metrics``). The
dashboards in ``dashboards/`` are built by ``ioc grafana build`` and never edited by hand.
"""
