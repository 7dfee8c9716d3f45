"""What `rq cron` enqueues, and how often (seconds).

`ttl`: a job that could not be started in time is dropped rather than piled up.
"""

import tasks
from rq import cron

cron.register(tasks.take_stock, "orders", interval=2, ttl=10, result_ttl=0, failure_ttl=60)
cron.register(tasks.recover, "orders", interval=5, ttl=30, result_ttl=0, failure_ttl=60)
