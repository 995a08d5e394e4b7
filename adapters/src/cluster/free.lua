-- Says of a channel whose owner is dead that it has none, so that whoever has room takes it.
-- ARGV: the owner and the epoch that were seen.
-- Answers 1, or 0 where it is no more so.
if not is_there() or owner() ~= ARGV[1] or number('epoch') ~= tonumber(ARGV[2]) then
    return 0
end
-- Whoever takes it has not been told what its owner did last.
redis.call('HSET', KEYS[1], 'owner', '', 'seen_by', '0')
return 1
