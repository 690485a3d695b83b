"""The command `tfkafka`: a broker to try things on, a check of a cluster, a look at a topic.

What it needs is imported when a command runs: `tfkafka --help` is to be quick.
"""
