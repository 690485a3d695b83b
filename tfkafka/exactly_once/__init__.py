"""Inference in which every record has exactly one prediction."""

from tfkafka.exactly_once.job import Job
from tfkafka.exactly_once.worker import ExactlyOnceInference

__all__ = ["ExactlyOnceInference", "Job"]
