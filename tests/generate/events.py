"""Writes tests/fixtures/events.json: an event file as TensorBoard's own writer writes it.

Made with tensorboard 2.21.0 (pip install tensorboard==2.21.0):

    python tests/generate/events.py
"""

import io
import json
import pathlib

import tensorboard
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

POINTS = [(1700000001.25, 0, {"train/loss": 0.0}), (1700000002.5, 300, {"train/loss": 1.5, "recall/çédille": 0.1})]


class Kept(io.BytesIO):
    def close(self):
        pass


def main():
    out = Kept()
    writer = RecordWriter(out)
    started = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    writer.write(event_pb2.Event(wall_time=1700000000.0, file_version="brain.Event:2").SerializeToString())
    writer.write(event_pb2.Event(wall_time=1700000000.0, step=17, session_log=started).SerializeToString())
    for wall_time, step, values in POINTS:
        values = [summary_pb2.Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        event = event_pb2.Event(wall_time=wall_time, step=step, summary=summary_pb2.Summary(value=values))
        writer.write(event.SerializeToString())
    stored = {
        "made by": "tests/generate/events.py",
        "tensorboard": tensorboard.__version__,
        "first_step": 17,
        "started": 1700000000.0,
        "points": POINTS,
        "file": out.getvalue().hex(),
    }
    path = pathlib.Path(__file__).parent.parent / "fixtures" / "events.json"
    path.write_text(json.dumps(stored, separators=(",", ":")) + "\n")
    print(path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
