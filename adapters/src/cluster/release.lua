-- Lets a channel go. Its epoch stays, so that the next one is above it.
-- ARGV: the owner's incarnation and epoch, whether an owner is still wanted for what it has published ('0' or
-- '1'), the status, the checkpoint ('' keeps the one that is there), which Redis it is.
-- Answers as a publish does.
local refused = others(ARGV[1], tonumber(ARGV[2]))
if refused then
    return refused
end
redis.call('HSET', KEYS[1], 'owner', '', 'unfinished', ARGV[3], 'status', ARGV[4])
keep(ARGV[5], ARGV[6])
return {'done', digits(number('revision'))}
