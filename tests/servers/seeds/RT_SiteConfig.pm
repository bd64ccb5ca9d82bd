# A private Request Tracker for tests; the fixture fills in the words in @...@.
Set($rtname, 'perfhouse-test');
Set($Organization, 'perfhouse.test');
Set($WebDomain, '127.0.0.1');
Set($WebPort, @PORT@);
Set($WebPath, '');
Set($WebBaseURL, 'http://127.0.0.1:@PORT@');
Set($Timezone, 'UTC');
Set($DatabaseType, 'Pg');
Set($DatabaseHost, '@DB_HOST@');
Set($DatabaseRTHost, '127.0.0.1');
Set($DatabasePort, '@DB_PORT@');
Set($DatabaseName, '@DB_NAME@');
Set($DatabaseAdmin, '@DB_USER@');
Set($DatabaseUser, '@DB_USER@');
Set($DatabasePassword, '@DB_PASSWORD@');
Set($MailCommand, 'testfile');
Set($LogToSyslog, undef);
Set($LogToSTDERR, 'warning');
Set($MasonDataDir, '@FOLDER@/mason');
Set($MasonSessionDir, '@FOLDER@/sessions');
Set($WebSessionClass, 'Apache::Session::File');
Set(%GnuPG, Enable => 0);
Set(%SMIME, Enable => 0);
Set(%FullTextSearch, Enable => 0);
Set(%ServiceAgreements,
    Default => 'standard',
    Levels => {
        standard => { Response => { RealMinutes => 240 }, Resolve => { RealMinutes => 2880 } },
        urgent => { Response => { RealMinutes => 60 }, Resolve => { RealMinutes => 480 } },
    },
);
1;
