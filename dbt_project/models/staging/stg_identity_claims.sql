{{ identity_claims(source('raw', 'identity_map'), source('config', 'identities')) }}
