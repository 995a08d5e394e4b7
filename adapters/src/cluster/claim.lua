-- Makes a channel the caller's, where it is still whose he thought.
-- ARGV: his incarnation, the owner and epoch that he has seen, an epoch that the new one has to be above, the
-- most bytes of a checkpoint.
-- Answers 'claimed', the epoch, the checkpoint ('' for none) and for how many milliseconds nothing has been heard
-- of it; 'changed', the epoch and the owner; or 'gone'. A claim that is made again, since its answer was lost, has
-- the same answer.
if not is_there() then
    return {'gone'}
end
local has, epoch, now = owner(), number('epoch'), millis()
if has ~= ARGV[1] then
    if has ~= ARGV[2] or epoch ~= tonumber(ARGV[3]) then
        return {'changed', digits(epoch), has}
    end
    -- Milliseconds since the begin of 2026: no epoch comes twice, not even where Redis has lost what it knew.
    epoch = math.max(epoch + 1, tonumber(ARGV[4]) + 1, now - 1767225600000)
    redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'epoch', digits(epoch), 'unfinished', '1')
end
-- Only what has been published since counts: whoever claims it next has to know for how long nobody was heard.
local seen = number('seen_at')
if seen == 0 then
    seen = now
    redis.call('HSET', KEYS[1], 'seen_at', digits(seen))
end
local silent = math.max(0, now - seen)
local checkpoint = ''
if redis.call('TYPE', KEYS[2]).ok == 'string' and redis.call('STRLEN', KEYS[2]) <= tonumber(ARGV[5]) then
    checkpoint = redis.call('GET', KEYS[2])
end
return {'claimed', digits(epoch), checkpoint, digits(silent)}
