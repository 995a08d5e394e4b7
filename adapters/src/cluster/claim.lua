-- Makes a channel the caller's, where it is still whose he thought.
-- ARGV: his incarnation, the owner and epoch that he has seen, the most bytes of a checkpoint.
-- Answers 'claimed', the epoch, the checkpoint ('' for none), for how many milliseconds no owner has written anything
-- ('' where none ever has), to which Redis that was, and how many have claimed it since, this one included; 'changed', the epoch and the owner; or 'gone'. A claim that is made again, since its answer was lost, has the same answer.
if not is_there() then
    return {'gone'}
end
local has, epoch, now = owner(), number('epoch'), millis()
if has ~= ARGV[1] then
    if has ~= ARGV[2] or epoch ~= tonumber(ARGV[3]) then
        return {'changed', digits(epoch), has}
    end
    -- Milliseconds since the begin of 2026: no epoch comes twice, not even where Redis has lost what it knew.
    epoch = math.max(epoch + 1, now - 1767225600000)
    redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'epoch', digits(epoch), 'unfinished', '1',
        'claims', digits(number('claims') + 1))
end
local silent, seen = '', number('seen_at')
if seen > 0 then
    silent = digits(math.max(0, now - seen))
end
local checkpoint = ''
if redis.call('TYPE', KEYS[2]).ok == 'string' and redis.call('STRLEN', KEYS[2]) <= tonumber(ARGV[4]) then
    checkpoint = redis.call('GET', KEYS[2])
end
return {'claimed', digits(epoch), checkpoint, silent, text('seen_by', 20), digits(number('claims'))}
