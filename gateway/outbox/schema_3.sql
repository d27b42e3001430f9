-- Schema 3. Buffers before this one whose events were saved into it when they were damaged. What one stored as seq s is
-- here s + base, which is below 1: the numbers of this buffer's own stream stay what they are.
CREATE TABLE former (
    base   INTEGER PRIMARY KEY,
    stream TEXT    NOT NULL
);
