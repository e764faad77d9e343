"""Converters: real event logs of other systems as events of our contract (`ioc convert`)."""
