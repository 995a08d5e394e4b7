-- Holds a node's name for some more time.
-- KEYS: the hash of the node. ARGV: its incarnation, the milliseconds, whether it is the first time ('0' or '1'),
-- then fields and their values.
-- Answers 'held'; 'missing' where there was none and it is not the first time: an incarnation that has expired
-- does not come back; or 'other', whose it is, and for how many milliseconds.
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'hash' then
    local has = ''
    if redis.call('HSTRLEN', KEYS[1], 'incarnation') <= 81 then
        has = redis.call('HGET', KEYS[1], 'incarnation') or ''
    end
    if has ~= ARGV[1] then
        local left = redis.call('PTTL', KEYS[1])
        -- Somebody has written it by hand: it ends as if it were a node's.
        if left < 0 then
            left = tonumber(ARGV[2])
            redis.call('PEXPIRE', KEYS[1], left)
        end
        return {'other', has, left}
    end
else
    if kind ~= 'none' then
        redis.call('DEL', KEYS[1])
    end
    if ARGV[3] ~= '1' then
        return {'missing'}
    end
end
redis.call('HSET', KEYS[1], 'incarnation', ARGV[1], unpack(ARGV, 4))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {'held'}
