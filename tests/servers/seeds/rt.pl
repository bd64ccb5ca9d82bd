# Fills a new Request Tracker through its own classes, as people would have over two months.
# Nothing is faked but the clock; what was done is told on standard output as JSON: the truth that
# tests compare a connector's rows with.
use strict;
use warnings;
use utf8;
my $NOW;
sub now { return defined $NOW ? $NOW : CORE::time() }
BEGIN {
    *CORE::GLOBAL::time = sub () { now() };
    *CORE::GLOBAL::gmtime = sub (;$) { CORE::gmtime(@_ ? $_[0] : now()) };
    *CORE::GLOBAL::localtime = sub (;$) { CORE::localtime(@_ ? $_[0] : now()) };
}
use lib '/usr/share/request-tracker5/lib';
use JSON ();
use Time::Local ();
use RT;
RT::LoadConfig();
RT::Init();

sub at { my @p = $_[0] =~ /\d+/g; return Time::Local::timegm(@p[5, 4, 3, 2], $p[1] - 1, $p[0]) }
sub iso { my @t = gmtime $_[0]; sprintf '%04d-%02d-%02dT%02d:%02d:%02dZ', $t[5] + 1900, $t[4] + 1, @t[3, 2, 1, 0] }
sub ok { my ($id, @told) = @_; $id or die join ' ', 'refused:', map { $_ // '' } @told, caller; return $id }

my $system = RT->SystemUser;
$NOW = at('2026-08-01T00:00:00Z');

# Mail is not what these tests are about, and a template takes most of a second.
my $scrips = RT::Scrips->new($system);
$scrips->UnLimit;
while (my $scrip = $scrips->Next) {
    my $action = $scrip->ActionObj->Name // '';
    $scrip->SetDisabled(1) unless $action =~ /SLA|Open Inactive/;
}

my %queue;
for my $made (['Support', 'Questions'], ['投诉', 'Complaints'], ['Billing', 'Money']) {
    my $it = RT::Queue->new($system);
    ok($it->Create(Name => $made->[0], Description => $made->[1], SLADisabled => 0));
    $queue{ $made->[1] } = $it;
}

my %field;
for my $made (['CSAT', 'FreeformSingle'], ['Channel', 'SelectSingle'], ['Is Complaint', 'SelectSingle']) {
    my $it = RT::CustomField->new($system);
    ok($it->Create(Name => $made->[0], Type => $made->[1], LookupType => 'RT::Queue-RT::Ticket'));
    ok($it->AddToObject(RT::Queue->new($system)));
    $field{ $made->[0] } = $it;
}
ok($field{Channel}->AddValue(Name => $_)) for qw(email phone 微信);
ok($field{'Is Complaint'}->AddValue(Name => $_)) for qw(yes no);

my $agents = RT::Group->new($system);
ok($agents->CreateUserDefinedGroup(Name => 'Agents'));
my @rights = qw(SeeQueue ShowTicket ShowTicketComments CreateTicket ReplyToTicket CommentOnTicket
    ModifyTicket OwnTicket TakeTicket StealTicket ReassignTicket DeleteTicket SeeCustomField ModifyCustomField);
ok($agents->PrincipalObj->GrantRight(Right => $_, Object => $RT::System)) for @rights;
my $everyone = RT::Group->new($system);
ok($everyone->LoadSystemInternalGroup('Everyone'));
ok($everyone->PrincipalObj->GrantRight(Right => $_, Object => $RT::System)) for qw(CreateTicket ReplyToTicket);

sub person {
    my ($name, %more) = @_;
    my $user = RT::User->new($system);
    ok($user->Create(Name => $name, Privileged => 1, %more));
    return $user;
}
my %agent;
for my $made (['zhang.wei', '张伟'], ['li.na', '李娜'], ['wang.fang', '王芳'], ['chen.jie', '陈杰']) {
    my $user = person($made->[0], RealName => $made->[1], EmailAddress => "$made->[0]\@corp.example");
    ok($agents->AddMember($user->PrincipalId));
    $agent{ $made->[0] } = $user;
}
my @names = sort keys %agent;
my @customers = map { person("customer$_\@mail.example", EmailAddress => "customer$_\@mail.example", Privileged => 0) } 1 .. 12;

# Three readers: as documented; in another time zone (RT reads a query's instants in it); without rights.
my %reader = (
    token => ['perfhouse', 'UTC', [qw(SeeQueue ShowTicket ShowTicketComments SeeCustomField SeeGroup AdminUsers)]],
    shanghai_token => ['perfhouse-shanghai', 'Asia/Shanghai', [qw(SeeQueue ShowTicket ShowTicketComments SeeCustomField AdminUsers)]],
    blind_token => ['perfhouse-blind', 'UTC', []],
);
my %told;
for my $kind (sort keys %reader) {
    my ($name, $zone, $rights) = @{ $reader{$kind} };
    my $user = person($name, Timezone => $zone);
    ok($user->PrincipalObj->GrantRight(Right => $_, Object => $RT::System)) for @$rights, 'ManageAuthTokens';
    my ($id, $message, $secret) = RT::AuthToken->new($system)->Create(Owner => $user->Id, Description => $kind);
    ok($id, $message);
    $told{$kind} = $secret;
}

my @tickets;
my ($ticket, $truth);

sub as { my ($user) = @_; my $it = RT::Ticket->new(RT::CurrentUser->new($user)); ok($it->Load($ticket->Id)); return $it }
sub later { $NOW += 60 * $_[0]; return }
sub opened {
    my ($when, $customer, $queue, %more) = @_;
    $NOW = at($when);
    $ticket = RT::Ticket->new($system);
    my ($id, undef, $message) = $ticket->Create(
        Queue => $queue->Id, Subject => 'Order ' . (1000 + @tickets), Requestor => [$customer->EmailAddress],
        'CustomField-' . $field{Channel}->Id => ('email', 'phone', '微信')[@tickets % 3], %more,
    );
    ok($id, $message);
    $truth = {
        id => $id, queue => $queue->Name, created => iso($NOW), status => 'new', owner => undef, replies => 0,
        reopened => 0, reassigned => 0, moved => 0, first_reply => undef, resolved => undef,
        last_updated => iso($NOW), csat => undef, merged_into => undef,
    };
    push @tickets, $truth;
    return;
}
sub done { $truth->{last_updated} = iso($NOW); return }
sub taken { my ($name) = @_; ok(as($agent{$name})->SetOwner($agent{$name}->Id)); $truth->{owner} = $name; return done() }
sub given {
    my ($by, $to) = @_;
    ok(as($agent{$by})->SetOwner($agent{$to}->Id, 'Force'));
    $truth->{reassigned}++;
    $truth->{owner} = $to;
    return done();
}
sub replied {
    my ($name) = @_;
    ok(as($agent{$name})->Correspond(Content => "您好 $truth->{id}"));
    $truth->{replies}++;
    $truth->{first_reply} //= iso($NOW);
    $truth->{status} = 'open' if $truth->{status} eq 'new';
    return done();
}
sub noted { my ($name) = @_; ok(as($agent{$name})->Comment(Content => 'internal', TimeTaken => 7)); return done() }
sub answered {
    my ($customer) = @_;
    my $was = $truth->{status};
    ok(as($customer)->Correspond(Content => 'still not working'));
    if ($was eq 'resolved') { $truth->{reopened}++; $truth->{resolved} = undef }
    $truth->{status} = 'open' if $was eq 'resolved';    # RT's own scrip; a stalled ticket stays so
    return done();
}
sub turned {
    my ($name, $status) = @_;
    ok(as($agent{$name})->SetStatus($status));
    $truth->{status} = $status;
    $truth->{resolved} = iso($NOW) if $status eq 'resolved';
    return done();
}
sub scored {
    my ($name, $score) = @_;
    ok(as($agent{$name})->AddCustomFieldValue(Field => $field{CSAT}->Id, Value => $score));
    $truth->{csat} = $score;
    return done();
}

my @stories = (
    sub { my ($a) = @_; later(12); taken($a); later(30); replied($a); later(90); turned($a, 'resolved') },
    sub {    # solved, asked again, solved again
        my ($a, $b, $c) = @_;
        later(5); taken($a); later(20); replied($a); later(60); turned($a, 'resolved');
        later(600); answered($c); later(45); replied($a); later(15); turned($a, 'resolved');
    },
    sub { my ($a, $b) = @_; later(9); taken($a); later(40); given($b, $b); later(10); replied($b); later(30); turned($b, 'resolved') },
    sub {    # a complaint in the wrong queue
        my ($a, $b) = @_;
        later(15); taken($a); noted($a);
        later(5); ok(as($agent{$a})->SetQueue($queue{Complaints}->Id)); $truth->{moved}++; $truth->{queue} = $queue{Complaints}->Name;
        ok(as($agent{$a})->SetPriority(100)); ok(as($agent{$a})->SetSLA('urgent'));
        ok(as($agent{$a})->AddCustomFieldValue(Field => $field{'Is Complaint'}->Id, Value => 'yes')); done();
        later(25); replied($a); later(120); turned($a, 'resolved');
    },
    sub {    # waiting for the customer
        my ($a, $b, $c) = @_;
        later(3); taken($a); later(6); replied($a); later(2); turned($a, 'stalled');
        later(1500); answered($c); later(4); turned($a, 'open'); later(4); replied($a); later(4); turned($a, 'resolved');
    },
    sub { my ($a) = @_; later(33); taken($a); later(7); replied($a) },
    sub { },
    sub {    # the same question twice
        my ($a) = @_;
        later(50);
        my $into = $tickets[-2];
        ok(as($agent{$a})->MergeInto($into->{id}));
        $truth->{merged_into} = $into->{id};
        $into->{last_updated} = iso($NOW);    # RT touches only the one that goes on
        return;
    },
    sub { my ($a) = @_; later(2); turned($a, @tickets % 4 ? 'rejected' : 'deleted') },
    sub {    # solved and rated
        my ($a) = @_;
        later(10); taken($a); later(11); replied($a); later(12); turned($a, 'resolved');
        later(240); scored($a, 1 + @tickets % 5);
    },
);
my $start = at('2026-09-01T01:00:00Z');
for my $n (0 .. 59) {
    my $customer = $customers[$n % @customers];
    opened(iso($start + $n * 40620), $customer, $n % 3 ? $queue{Questions} : $queue{Money});
    $stories[$n % @stories]->($names[$n % 4], $names[($n + 1) % 4], $customer);
}
# The edges of September in Shanghai, and two tickets that live across one.
for my $edge ('2026-08-31T15:59:59Z', '2026-08-31T16:00:00Z', '2026-09-30T15:59:59Z', '2026-09-30T16:00:00Z') {
    opened($edge, $customers[0], $queue{Questions});
}
opened('2026-08-30T08:00:00Z', $customers[1], $queue{Complaints});
$stories[0]->($names[0], $names[1], $customers[1]);
later(60 * 24 * 3); answered($customers[1]); later(30); replied($names[0]); later(30); turned($names[0], 'resolved');
opened('2026-09-29T08:00:00Z', $customers[2], $queue{Questions});
$stories[0]->($names[1], $names[2], $customers[2]);
later(60 * 24 * 6); answered($customers[2]); later(30); replied($names[1]); later(30); turned($names[1], 'resolved');

$told{tickets} = \@tickets;
$told{agents} = [@names];
$told{version} = $RT::VERSION;
binmode STDOUT;
print JSON->new->utf8->canonical->encode(\%told);
