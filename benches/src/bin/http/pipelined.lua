-- Sends as many requests at once as the first argument says. wrk counts answers, one by one.
local batch

init = function(args)
    batch = string.rep(wrk.format(), tonumber(args[1]))
end

request = function()
    return batch
end
