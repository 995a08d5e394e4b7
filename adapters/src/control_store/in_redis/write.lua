-- Writes what is wanted of a channel, where nobody has changed it since it was read.
-- KEYS: its hash. ARGV: the revision that was read ('' for none, or for one that is no revision), then the
-- revision, spec, desired, writer and removed ('0' or '1') that are to stand there. Whose it is and what is
-- observed of it stays.
-- Answers 1, or 0 where somebody was faster.
local kind = redis.call('TYPE', KEYS[1]).ok
local present = ''
if kind == 'hash' then
    present = redis.call('HGET', KEYS[1], 'revision') or ''
    if #present > 20 then
        present = ''
    end
end
if present ~= ARGV[1] then
    return 0
end
if kind ~= 'hash' and kind ~= 'none' then
    redis.call('DEL', KEYS[1])
end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'revision', ARGV[2], 'spec', ARGV[3], 'desired', ARGV[4], 'writer', ARGV[5],
    'removed', ARGV[6], 'updated_at', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)))
return 1
