"""The migration by which labels of before name the jobs that they are made of."""

import sqlite3

import msgspec


def name_jobs(connection: sqlite3.Connection) -> None:
    """Give every stored label its ``jobs``.

    They are found by the medians of the processes, among the timed ones of the label's model, purpose, device
    and context that went well. Of equal medians those come first that are not discarded.
    """
    labels = connection.execute(
        "SELECT id, model_sha256, purpose, device_id, context_fingerprint, record FROM latency_label"
    ).fetchall()
    for label_id, *of_label, blob in labels:
        record = msgspec.msgpack.decode(blob)
        left = connection.execute(
            "SELECT result.median_ms, result.job_id FROM result "
            "LEFT JOIN discarded ON discarded.job_id = result.job_id "
            "WHERE model_sha256 = ? AND purpose = ? AND device_id = ? "
            "AND coalesce(context_fingerprint, '') = ? AND measure_pass = 'timed' AND outcome = 'OK' "
            "ORDER BY discarded.job_id IS NOT NULL, result.rowid",
            of_label,
        ).fetchall()
        jobs = []
        for median_ms in record["process_medians_ms"]:
            found = next((result for result in left if result[0] == median_ms), None)
            if found is not None:
                left.remove(found)
                jobs.append(found[1])
        connection.execute(
            "UPDATE latency_label SET record = ? WHERE id = ?",
            (msgspec.msgpack.encode(record | {"jobs": jobs}), label_id),
        )
