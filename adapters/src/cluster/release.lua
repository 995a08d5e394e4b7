-- Lets a channel go. Its epoch stays, so that the next one is above it.
-- ARGV: the owner's incarnation and epoch, the status, the checkpoint ('' keeps the one that is there), which Redis
-- it is, whether an owner is still wanted for what it has published ('0' or '1').
-- Answers as a publish does.
local refused = others(ARGV[1], tonumber(ARGV[2]))
if refused then
    return refused
end
redis.call('HSET', KEYS[1], 'owner', '', 'unfinished', ARGV[6])
tell(ARGV[3])
keep(ARGV[4], ARGV[5])
return {'done', digits(number('revision'))}
