// `switchyard keys`: makes, lists and revokes the API keys of the key file.
#pragma once

namespace switchyard {

/// @param argc, argv from "keys" on. @return the exit status: 0, 1 if it could not be done, 2 for bad usage or
/// configuration.
int KeysCommand(int argc, char** argv);

}  // namespace switchyard
