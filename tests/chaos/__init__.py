"""Chaos: a whole system on real Kafka, hurt at random, and every number compared afterwards."""
