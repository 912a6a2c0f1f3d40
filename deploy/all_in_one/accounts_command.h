// `switchyard accounts`: the account doctor. Asks every configured account's platform whether its credential is good
// and prints a table of what is and what to do.
#pragma once

namespace switchyard {

/// `argv[0]` is "accounts". Asks the relay that runs on this configuration, or, where none does, the platforms itself.
/// @return the exit status: 0 if every account is well, 1 if one is not or there is none, 2 for bad flags or
/// configuration.
int AccountsCommand(int argc, char** argv);

}  // namespace switchyard
