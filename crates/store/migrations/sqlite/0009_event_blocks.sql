-- Where in the log a window of time begins: for every 4,096 cursors the latest time of their events. This takes the
-- place of an index of an entry an event, into which every event had to be sorted. Events that were removed with their
-- user still count: a time may be too late, never too early.

CREATE TABLE event_blocks (
    block INTEGER NOT NULL PRIMARY KEY CHECK (block >= 0),
    latest INTEGER NOT NULL
) STRICT;

INSERT INTO event_blocks (block, latest)
    SELECT cursor / 4096, max(timestamp) FROM viewing_events GROUP BY cursor / 4096;

DROP INDEX viewing_events_by_timestamp;
