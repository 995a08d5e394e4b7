-- Writes an owner's channel again after Redis has forgotten it, or some of it.
-- ARGV: the owner's incarnation and epoch, the status, the checkpoint ('' keeps the one that is there), which Redis
-- it is, then what is wanted, as the owner knows it: revision, spec, desired, writer, removed.
-- Answers as a publish does.
local kind, epoch = redis.call('TYPE', KEYS[1]).ok, tonumber(ARGV[2])
if kind == 'hash' then
    local stored, has = number('epoch'), owner()
    if stored > epoch or (stored == epoch and has ~= '' and has ~= ARGV[1]) then
        return {'fenced', digits(stored), has}
    end
elseif kind ~= 'none' then
    redis.call('DEL', KEYS[1])
end
-- The same revision again, as somebody may have written over what is wanted.
if number('revision') <= tonumber(ARGV[6]) then
    redis.call('HSET', KEYS[1], 'revision', ARGV[6], 'spec', ARGV[7], 'desired', ARGV[8], 'writer', ARGV[9],
        'removed', ARGV[10], 'updated_at', digits(millis()))
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'epoch', ARGV[2], 'unfinished', '1')
tell(ARGV[3])
keep(ARGV[4], ARGV[5])
return {'done', digits(number('revision'))}
